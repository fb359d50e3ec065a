import type pg from 'pg'
import type { TimeId } from '../../domain/value/time-id.ts'
import { sleep } from '../../runtime/sleep.ts'
import { type Outbox, transaction } from '../database/database.ts'
import { lockAllHolders } from '../database/fence.ts'
import { headOf } from '../log/position.ts'
import { deleteWebhook } from '../records/webhooks.ts'
import type { Cell, Cells } from './cells.ts'
import { copyAttempts, copyEnded, makeDays, moveIn } from './move-in.ts'
import { countToMove, isReplayed, takeOut } from './move-out.ts'
import { whileReachable } from './reach.ts'
import { findPlacement, place } from './registry.ts'
import { giveBack, settleMove, withMoveLock } from './settle-move.ts'

/**
 * A move of a webhook, from one cell to another. Exactly one sends at any time:
 *
 * | step | the webhook's row in the old cell | in the new one | placement | after a crash |
 * |---|---|---|---|---|
 * | started | unchanged | – | old, moving to new | given back |
 * | held: requests in flight end, attempts and ends are copied | `moving_to` | – | the same | given back |
 * | cut over: one commit there, then one here | `moving_to`, then – | unchanged | the same, then new, moving to old | continues |
 * | cleaned up | – | unchanged | new | – |
 */
export type Step = 'held' | 'copied' | 'cut over' | 'settled'

export type MoveOutcome =
  | { readonly ok: true; readonly isMoved: boolean }
  | { readonly ok: false; readonly why: WhyNot; readonly count?: number }
export type WhyNot = 'no webhook' | 'being moved' | 'replayed' | 'too much waits' | 'late'

/** More rows would stop the old cell's other webhooks for seconds. */
const maxToMove = 100_000
/** How long the other cell may take to copy the sent events. */
const longestWaitMs = 60_000
const inLockMs = 2_000
const askEveryMs = 50

/**
 * Moves a webhook. `holdMs`: the time after which nothing of it can be in flight, 20 s with attempts of 15 s. Repeatable after a
 * crash at any point. Throws if a cell does not respond; a process then ends the move (`settleMoves`).
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
    if (!(await isIn(from.outbox, webhookId))) return refuse('no webhook')
    if (from.name === to.name) return { ok: true as const, isMoved: false }
    if (await isReplayed(from.outbox.pool, webhookId)) return refuse('replayed')
    const count = await countToMove(from.outbox, webhookId, maxToMove + 1)
    if (count > maxToMove) return { ...refuse('too much waits'), count }
    const cut: Cut = { state: 'open' }
    try {
      return await move({ cells, from, to, webhookId, holdMs, onStep, cut })
    } catch (error) {
      if (cut.state === 'open') {
        cut.state = 'given up'
        await giveBack(from.outbox.pool, webhookId)
      }
      throw error
    } finally {
      await settleMove(cells, await findPlacement(cells.main.outbox.pool, webhookId))
      await onStep('settled')
    }
  })
  return moved ?? refuse('being moved')
}

const refuse = (why: WhyNot) => ({ ok: false as const, why })

/**
 * Whether the new cell may have stored the webhook: once its commit has begun, only the cell knows. Giving up before that gives
 * the webhook back, and the waiting transaction there ends without a commit.
 */
type Cut = { state: 'open' | 'may be there' | 'given up' }

type Move = {
  readonly cells: Cells
  readonly from: Cell
  readonly to: Cell
  readonly webhookId: number
  readonly holdMs: number
  readonly onStep: (step: Step) => void | Promise<void>
  readonly cut: Cut
}

async function move(options: Move): Promise<MoveOutcome> {
  const { cells, from, to, webhookId, holdMs, onStep } = options
  const { pool: main } = cells.main.outbox
  const tenant = await tenantIn(from.outbox, webhookId)
  await place(main, { webhookId, tenant, cell: from.name, movingTo: to.name })
  await makeDays(from.outbox, to.outbox, webhookId)
  const copied = await copyAttempts(from.outbox, to.outbox, webhookId)
  const endedSince = await copyEnded(from.outbox, to.outbox, webhookId)
  await from.outbox.pool.query('update walhook.webhooks set moving_to = $2 where id = $1', [
    webhookId,
    to.name,
  ])
  await onStep('held')
  await sleep(holdMs)
  // Nothing newer was sent: the new cell must not send it again.
  const sentUpTo = await headOf(from.outbox)
  if (!(await reaches(to.outbox, sentUpTo, longestWaitMs))) return refuse('late')
  if (!(await reaches(from.outbox, await headOf(to.outbox), longestWaitMs))) return refuse('late')
  await copyAttempts(from.outbox, to.outbox, webhookId, copied)
  await onStep('copied')
  const outcome = await cutOver({ ...options, tenant, endedSince })
  return outcome ?? { ok: true, isMoved: true }
}

/**
 * The two deciding commits: the webhook appears in the new cell, then disappears from the old one. Each cell is locked, so neither
 * waits for an unreachable one: that would stop the old cell's other webhooks and the new cell's log.
 */
async function cutOver({
  cells,
  from,
  to,
  webhookId,
  tenant,
  endedSince,
  onStep,
  cut,
}: Move & { readonly tenant: string | null; readonly endedSince: Date }): Promise<MoveOutcome | null> {
  return await transaction(from.outbox.pool, async client => {
    await lockAllHolders(client)
    const { rows } = await client.query('select moving_to from walhook.webhooks where id = $1 for update', [
      webhookId,
    ])
    if (rows[0]?.moving_to !== to.name) return refuse('no webhook')
    if (await isReplayed(client, webhookId)) return refuse('replayed')
    const isStored = await whileReachable(to, storeThere({ from, to, webhookId, endedSince, cut }, client))
    if (!isStored) return refuse('late')
    await onStep('cut over')
    await place(cells.main.outbox.pool, { webhookId, tenant, cell: to.name, movingTo: from.name })
    await deleteWebhook(client, webhookId)
    return null
  })
}

/** Stores the webhook in its new cell; false: the old one lacks events that the new one has. */
async function storeThere(
  {
    from,
    to,
    webhookId,
    endedSince,
    cut,
  }: Pick<Move, 'from' | 'to' | 'webhookId' | 'cut'> & { readonly endedSince: Date },
  client: pg.PoolClient,
): Promise<boolean> {
  return await transaction(to.outbox.pool, async there => {
    // Nothing is appended there meanwhile.
    const { rows } = await there.query('select last_event_id as id from walhook.positions for update')
    const upTo: TimeId = rows[0]?.id ?? 0n
    const bring = async () => {
      if (!(await reaches(from.outbox, upTo, inLockMs))) return false
      await moveIn(there, client, webhookId, await takeOut(client, { webhookId, upTo, endedSince }))
      return true
    }
    const isStored = await whileReachable(from, bring())
    if (cut.state === 'given up') throw new Error('the move was given up')
    if (isStored) cut.state = 'may be there'
    return isStored
  })
}

/** Waits until an outbox has the log up to an event; false: not within `ms`. */
async function reaches(outbox: Outbox, upTo: TimeId, ms: number): Promise<boolean> {
  for (const untilMs = performance.now() + ms; performance.now() < untilMs; await sleep(askEveryMs))
    if ((await headOf(outbox)) >= upTo) return true
  return false
}

async function tenantIn({ pool }: Outbox, webhookId: number): Promise<string | null> {
  const { rows } = await pool.query('select tenant from walhook.webhooks where id = $1', [webhookId])
  return rows[0]?.tenant ?? null
}

async function isIn({ pool }: Outbox, webhookId: number): Promise<boolean> {
  return (await pool.query('select 1 from walhook.webhooks where id = $1', [webhookId])).rows.length > 0
}
