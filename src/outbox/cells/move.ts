import type pg from 'pg'
import type { TimeId } from '../../domain/value/time-id.ts'
import { sleep } from '../../runtime/sleep.ts'
import { type Outbox, transaction } from '../database/database.ts'
import { lockAllHolders } from '../database/fence.ts'
import { deleteWebhook } from '../records/webhooks.ts'
import { lockKey } from '../schema/in-schema.ts'
import type { Cell, Cells } from './cells.ts'
import { bringIn, copyAttempts, deleteMoved, makeDays } from './move-in.ts'
import { countToMove, isReplayed, takeOut } from './move-out.ts'
import { findPlacement, listMoves, type Placement, place } from './registry.ts'

/**
 * A move of a webhook, from one cell to another. Exactly one sends at any time:
 *
 * | step | the webhook's row in the old cell | in the new one | placement | after a crash |
 * |---|---|---|---|---|
 * | begun | as ever | – | old, moving to new | given back |
 * | held: what is in flight ends, the log of attempts is copied | `moving_to` | – | the same | given back |
 * | cut over: one commit there, then one here | `moving_to`, then – | as ever | the same, then new, moving to old | goes on |
 * | cleared up | – | as ever | new | – |
 */
export type Step = 'held' | 'copied' | 'cut over' | 'settled'

export type MoveOutcome =
  | { readonly ok: true; readonly isMoved: boolean }
  | { readonly ok: false; readonly why: WhyNot; readonly count?: number }
export type WhyNot = 'no webhook' | 'being moved' | 'replayed' | 'too much waits' | 'late'

/** More rows would stop the old cell's other webhooks for seconds. */
export const mostToMove = 100_000
/** How long the other cell may take to copy what was sent. */
const longestWaitMs = 60_000
const inLockMs = 2_000
const askEveryMs = 50

/** A unique number of advisory locks: of whoever moves a webhook. */
const moveLock = lockKey(0x6d6f7665)

/**
 * Moves a webhook. `holdMs`: the time after which nothing of it can be in flight, 20 s with attempts of 15 s. Repeatable after a crash at any
 * point. Throws if a cell does not answer; a process then settles it (`settleMoves`).
 */
export async function moveWebhook(
  cells: Cells,
  {
    webhookId,
    to,
    holdMs,
    onStep,
  }: { webhookId: number; to: Cell; holdMs: number; onStep: (step: Step) => void | Promise<void> },
): Promise<MoveOutcome> {
  const moved = await withMoveLock(cells.main.outbox, webhookId, async () => {
    await settleMove(cells, await findPlacement(cells.main.outbox.pool, webhookId))
    const from = await cells.of(webhookId)
    if ((await stateIn(from.outbox, webhookId)) === 'none') return refuse('no webhook')
    if (from.name === to.name) return { ok: true as const, isMoved: false }
    if (await isReplayed(from.outbox.pool, webhookId)) return refuse('replayed')
    const count = await countToMove(from.outbox, webhookId, mostToMove + 1)
    if (count > mostToMove) return { ...refuse('too much waits'), count }
    try {
      return await move({ cells, from, to, webhookId, holdMs, onStep })
    } finally {
      await settleMove(cells, await findPlacement(cells.main.outbox.pool, webhookId))
      await onStep('settled')
    }
  })
  return moved ?? refuse('being moved')
}

const refuse = (why: WhyNot) => ({ ok: false as const, why })

type Move = {
  readonly cells: Cells
  readonly from: Cell
  readonly to: Cell
  readonly webhookId: number
  readonly holdMs: number
  readonly onStep: (step: Step) => void | Promise<void>
}

async function move({ cells, from, to, webhookId, holdMs, onStep }: Move): Promise<MoveOutcome> {
  const { pool: main } = cells.main.outbox
  const tenant = await tenantIn(from.outbox, webhookId)
  await place(main, { webhookId, tenant, cell: from.name, movingTo: to.name })
  await makeDays(from.outbox, to.outbox, webhookId, Date.now())
  const copied = await copyAttempts(from.outbox, to.outbox, webhookId)
  await from.outbox.pool.query('update walhook.webhooks set moving_to = $2 where id = $1', [
    webhookId,
    to.name,
  ])
  await onStep('held')
  await sleep(holdMs)
  // Nothing newer was sent: the new cell must not tell it once more.
  const sentUpTo = await headOf(from.outbox)
  if (!(await reaches(to.outbox, sentUpTo, longestWaitMs))) return refuse('late')
  if (!(await reaches(from.outbox, await headOf(to.outbox), longestWaitMs))) return refuse('late')
  await copyAttempts(from.outbox, to.outbox, webhookId, copied)
  await onStep('copied')
  const outcome = await cutOver({ from, to, webhookId, tenant, main }, onStep)
  return outcome ?? { ok: true, isMoved: true }
}

/** The only commits that matter: in the new cell the webhook is there, then it is gone from the old one. */
async function cutOver(
  {
    from,
    to,
    webhookId,
    tenant,
    main,
  }: { from: Cell; to: Cell; webhookId: number; tenant: string | null; main: pg.Pool },
  onStep: Move['onStep'],
): Promise<MoveOutcome | null> {
  return await transaction(from.outbox.pool, async client => {
    await lockAllHolders(client)
    const { rows } = await client.query('select moving_to from walhook.webhooks where id = $1 for update', [
      webhookId,
    ])
    if (rows[0]?.moving_to !== to.name) return refuse('no webhook')
    if (await isReplayed(client, webhookId)) return refuse('replayed')
    const isIn = await transaction(to.outbox.pool, async there => {
      // Nothing is appended there meanwhile.
      const { rows: positions } = await there.query(
        'select last_event_id as id from walhook.positions for update',
      )
      const upTo: TimeId = positions[0]?.id ?? 0n
      if (!(await reaches(from.outbox, upTo, inLockMs))) return false
      await bringIn(there, client, webhookId, await takeOut(client, webhookId, upTo))
      return true
    })
    if (!isIn) return refuse('late')
    await onStep('cut over')
    await place(main, { webhookId, tenant, cell: to.name, movingTo: from.name })
    await deleteWebhook(client, webhookId)
    return null
  })
}

const headOf = async ({ pool }: Outbox): Promise<TimeId> =>
  (await pool.query('select coalesce(max(last_event_id), 0) as id from walhook.positions')).rows[0].id

/** Waits until an outbox has the log up to an event; false: not within `ms`. */
async function reaches(outbox: Outbox, upTo: TimeId, ms: number): Promise<boolean> {
  for (const untilMs = performance.now() + ms; performance.now() < untilMs; await sleep(askEveryMs))
    if ((await headOf(outbox)) >= upTo) return true
  return false
}

/** `moving`: it is held, since it is being moved away. */
async function stateIn({ pool }: Outbox, webhookId: number): Promise<'none' | 'active' | 'moving'> {
  const { rows } = await pool.query('select moving_to from walhook.webhooks where id = $1', [webhookId])
  return rows.length === 0 ? 'none' : rows[0].moving_to === null ? 'active' : 'moving'
}

async function tenantIn({ pool }: Outbox, webhookId: number): Promise<string | null> {
  const { rows } = await pool.query('select tenant from walhook.webhooks where id = $1', [webhookId])
  return rows[0]?.tenant ?? null
}

/** Ends a move that was begun: forward if the webhook is in its new cell, else it is given back. Nothing without one. */
async function settleMove(cells: Cells, placement: Placement): Promise<void> {
  const { webhookId, cell, movingTo } = placement
  if (movingTo === null) return
  const { pool: main } = cells.main.outbox
  const [here, there] = [await cells.named(cell), await cells.named(movingTo)]
  if ((await stateIn(there.outbox, webhookId)) === 'active') {
    await place(main, { ...placement, cell: movingTo, movingTo: cell })
    await clearUp(here.outbox, webhookId)
    await place(main, { ...placement, cell: movingTo, movingTo: null })
    return
  }
  // From here on it is not cut over. A mover that just does it has locked the row: then it is gone from here, and the other one is looked at.
  const state = await stateIn(here.outbox, webhookId)
  const { rowCount } = await here.outbox.pool.query(
    'update walhook.webhooks set moving_to = null where id = $1 and moving_to is not null',
    [webhookId],
  )
  if (state === 'moving' && rowCount === 0) return await settleMove(cells, placement)
  await clearUp(there.outbox, webhookId)
  await place(main, { ...placement, movingTo: null })
}

async function clearUp(outbox: Outbox, webhookId: number): Promise<void> {
  await transaction(outbox.pool, async client => {
    await lockAllHolders(client)
    await deleteWebhook(client, webhookId)
  })
  await deleteMoved(outbox, webhookId)
}

/** Ends the moves whose mover is gone. Returns the webhooks; throws if a cell does not answer. */
export async function settleMoves(cells: Cells): Promise<number[]> {
  const settled: number[] = []
  for (const { webhookId } of await listMoves(cells.main.outbox)) {
    const isSettled = await withMoveLock(cells.main.outbox, webhookId, async () => {
      await settleMove(cells, await findPlacement(cells.main.outbox.pool, webhookId))
      return true
    })
    if (isSettled) settled.push(webhookId)
  }
  return settled
}

/** Null: another process moves this webhook. */
async function withMoveLock<T>(
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
