import type pg from 'pg'
import { describeError } from '../../runtime/log.ts'
import { type Outbox, transaction } from '../database/database.ts'
import { lockAllHolders } from '../database/fence.ts'
import { deleteWebhook } from '../records/webhooks.ts'
import { lockKey } from '../schema/in-schema.ts'
import type { Cell, Cells } from './cells.ts'
import { deleteMoved } from './move-in.ts'
import { whileReachable, whyAway } from './reach.ts'
import { findPlacement, listMoves, type Placement, place } from './registry.ts'

/** The advisory lock of a process that moves a webhook. */
const moveLock = lockKey(0x6d6f7665)

/** Null: another process moves this webhook. */
export async function withMoveLock<T>(
  { pool }: Outbox,
  webhookId: number,
  work: () => Promise<T>,
): Promise<T | null> {
  const client = await pool.connect()
  try {
    const { rows } = await client.query(`select pg_try_advisory_lock(${moveLock}, $1) as is_ours`, [
      webhookId,
    ])
    return rows[0].is_ours ? await work() : null
  } finally {
    // Ends the session, and the lock with it.
    client.release(true)
  }
}

/**
 * Ends a started move: forward if the webhook is in its new cell, otherwise back. Throws if one of the two cells does not
 * respond.
 */
export async function settleMove(cells: Cells, placement: Placement): Promise<void> {
  const { webhookId, cell, movingTo } = placement
  if (movingTo === null) return
  const { pool: main } = cells.main.outbox
  const [here, there] = [await cells.named(cell), await cells.named(movingTo)]
  for (const { name, why } of await Promise.all([here, there].map(howAway)))
    if (why !== null) throw new Error(`the cell ${name} does not answer: ${why}`)
  const isThere = await giveBackUnlessThere(here, there, webhookId)
  const [at, left] = isThere ? [there, here] : [here, there]
  if (isThere) await place(main, { ...placement, cell: at.name, movingTo: left.name })
  await clearUp(left.outbox, webhookId)
  await place(main, { ...placement, cell: at.name, movingTo: null })
}

const howAway = async (cell: Cell) => ({ name: cell.name, why: await whyAway(cell) })

/**
 * Gives a held webhook back to its old cell, unless it is in the new one; returns whether it is. It takes the locks of the
 * cutover in the same order: the commit of a dead process may still be on its way to the new cell.
 */
async function giveBackUnlessThere(here: Cell, there: Cell, webhookId: number): Promise<boolean> {
  return await transaction(here.outbox.pool, async client => {
    await client.query('select 1 from walhook.webhooks where id = $1 for no key update', [webhookId])
    const isThere = await whileReachable(there, isActiveIn(there, webhookId))
    if (!isThere) await giveBack(client, webhookId)
    return isThere
  })
}

async function isActiveIn({ outbox }: Cell, webhookId: number): Promise<boolean> {
  return await transaction(outbox.pool, async client => {
    await client.query('select 1 from walhook.positions for update')
    // A separate statement, which sees the commits that the lock waited for.
    const { rows } = await client.query(
      'select exists (select 1 from walhook.webhooks where id = $1 and moving_to is null) as yes',
      [webhookId],
    )
    return rows[0].yes
  })
}

export async function giveBack(db: Pick<pg.ClientBase | pg.Pool, 'query'>, webhookId: number): Promise<void> {
  await db.query('update walhook.webhooks set moving_to = null where id = $1 and moving_to is not null', [
    webhookId,
  ])
}

/** Deletes a webhook of another cell. */
export async function clearUp(outbox: Outbox, webhookId: number): Promise<void> {
  await transaction(outbox.pool, async client => {
    await lockAllHolders(client)
    await deleteWebhook(client, webhookId)
  })
  await deleteMoved(outbox, webhookId)
}

/** The webhooks whose moves were ended, and those that wait, each with why. */
type SettledMoves = {
  readonly settled: readonly number[]
  readonly waiting: readonly { readonly webhookId: number; readonly why: string }[]
}

/**
 * Ends the moves whose process is gone. A move with an unreachable cell waits, and delays the others by at most three seconds;
 * its webhook stays locked until the statements have ended.
 */
export async function settleMoves(cells: Cells): Promise<SettledMoves> {
  const settled: number[] = []
  const waiting: { webhookId: number; why: string }[] = []
  for (const { webhookId, cell, movingTo } of await listMoves(cells.main.outbox)) {
    const settle = () =>
      withMoveLock(cells.main.outbox, webhookId, async () => {
        await settleMove(cells, await findPlacement(cells.main.outbox.pool, webhookId))
        return true
      })
    try {
      const [here, there] = [await cells.named(cell), await cells.named(movingTo!)]
      if (await whileReachable(here, whileReachable(there, settle()))) settled.push(webhookId)
    } catch (error) {
      waiting.push({ webhookId, why: describeError(error) })
    }
  }
  return { settled, waiting }
}
