import pg from 'pg'
import { firstIdAt } from '../../domain/value/time-id.ts'
import type { Outbox } from '../database/database.ts'
import { pruneStates } from '../holders/prune-states.ts'
import { keepLastAttempts, pruneKeptAttempts } from '../reading/kept-attempts.ts'
import { isShownByLog, oldestEventInBatch, whoHoldsDay } from './held-days.ts'
import { type DayOf, dayMs, partitionName, startOfDay } from './partitions.ts'

/** How long what is finished is kept, in days. */
export type Retention = {
  readonly logDays: number
  readonly eventsDays: number
  /**
   * How long a detachment waits for the transactions that were open when it began. What takes longer is ended by the
   * next run.
   */
  readonly waitForOthersMs?: number
}

/** Any number that nothing else in the database locks: the letters of "walhook", and one. */
const advisoryLock = 0x77616c69

/** In the order in which they are seen to. */
const states = ['detaching', 'detached', 'attached'] as const

/** A day of events that is past its time, and webhooks that wait for some of them. */
export type HeldDay = { readonly startMs: number; readonly webhookIds: readonly number[] }

type DroppedDays = { dropped: string[]; held: HeldDay[] }

type Day = {
  readonly table: DayOf
  readonly startMs: number
  /** detaching: new statements do not see it any more; detached: it is a table of its own, still to be dropped. */
  readonly state: (typeof states)[number]
}

/**
 * Drops the days that are past their time, at the clock `nowMs`:
 *
 * - of the log, by age alone; the last ten attempts of each webhook are copied first, without their bodies.
 * - of events and ended deliveries together, once no webhook waits for one of the events and no request that the log
 *   still shows sent one.
 *
 * A day is detached first, concurrently: that waits for open transactions without any append or settlement having to
 * wait behind it, and may be left at any moment: the next run goes on from what it finds. One process does it at a
 * time. Returns the names of what was dropped, and the days of events that are past their time and are held, each with
 * webhooks that wait for them.
 */
export async function dropOldDays(outbox: Outbox, nowMs: number, keep: Retention): Promise<DroppedDays> {
  const client = await outbox.pool.connect()
  try {
    const { rows } = await client.query('select pg_try_advisory_lock($1) as is_ours', [advisoryLock])
    let outcome: DroppedDays = { dropped: [], held: [] }
    if (rows[0].is_ours) {
      await client.query(`set lock_timeout = ${keep.waitForOthersMs ?? 5_000}`)
      outcome = await dropDays(client, outbox, nowMs, keep)
      await client.query(`set lock_timeout = 0; select pg_advisory_unlock(${advisoryLock})`)
    }
    client.release()
    return outcome
  } catch (error) {
    // With the connection end its settings and its lock.
    client.release(true)
    throw error
  }
}

async function dropDays(
  client: pg.PoolClient,
  outbox: Outbox,
  nowMs: number,
  keep: Retention,
): Promise<DroppedDays> {
  const isOver = (day: Day) => {
    const days = day.table === 'attempts' ? keep.logDays : keep.eventsDays
    return day.startMs + dayMs <= nowMs - days * dayMs
  }
  const days = (await readDays(client)).filter(day => day.state !== 'attached' || isOver(day))
  // Of one table, only one day can be on its way out: what was left so comes first.
  days.sort((a, b) => states.indexOf(a.state) - states.indexOf(b.state))
  const dropped: string[] = []
  const stuck = new Set<DayOf>()
  async function drop(day: Day, isNeeded?: () => Promise<boolean>) {
    if (stuck.has(day.table)) return
    const outcome = await dropDay(client, day, isNeeded)
    if (outcome === 'dropped') dropped.push(nameOf(day))
    if (outcome === 'others are in the way') stuck.add(day.table)
  }

  const log = days.filter(({ table }) => table === 'attempts')
  if (log.length > 0) {
    const end = Math.max(...log.map(({ startMs }) => startMs)) + dayMs
    await keepLastAttempts(outbox, firstIdAt(end))
    for (const day of log) await drop(day)
  }
  await pruneKeptAttempts(outbox)

  const ofEvents = days.filter(({ table }) => table !== 'attempts')
  const oldestInBatch = ofEvents.length === 0 ? null : await oldestEventInBatch(client)
  const held = new Map<number, readonly number[]>()
  for (const day of ofEvents) {
    const isNeeded = async () => {
      const webhookIds = await whoHoldsDay(client, day.startMs)
      if (webhookIds.length > 0) held.set(day.startMs, webhookIds)
      return webhookIds.length > 0 || (await isShownByLog(client, day.startMs, oldestInBatch))
    }
    if (day.state !== 'attached' || !(await isNeeded())) await drop(day, isNeeded)
  }
  await pruneStates(outbox)
  return { dropped, held: [...held].map(([startMs, webhookIds]) => ({ startMs, webhookIds })) }
}

const nameOf = ({ table, startMs }: Day) => partitionName(table, startMs)

async function readDays(client: pg.PoolClient): Promise<Day[]> {
  const { rows } = await client.query(`
    select c.relname as name, i.inhparent is not null as has_parent, coalesce(i.inhdetachpending, false) as is_pending
    from pg_class c left join pg_inherits i on i.inhrelid = c.oid
    where c.relnamespace = 'walhook'::regnamespace and c.relkind = 'r'
      and c.relname ~ '^(events|attempts|ended_deliveries)_[0-9]{8}$'
    order by c.relname`)
  return rows.map(({ name, has_parent, is_pending }) => ({
    table: name.slice(0, -9),
    startMs: startOfDay(name.slice(-8)),
    state: !has_parent ? 'detached' : is_pending ? 'detaching' : 'attached',
  }))
}

/**
 * Detaches a day and drops it, unless it `isNeeded` after all once nobody can have it before his eyes any more: then it
 * is attached again. Where other transactions are in the way for too long, it stays as far as it has come.
 */
async function dropDay(
  client: pg.PoolClient,
  day: Day,
  isNeeded: () => Promise<boolean> = async () => false,
): Promise<'dropped' | 'needed' | 'others are in the way'> {
  const name = nameOf(day)
  const parent = `walhook.${day.table}`
  try {
    if (day.state === 'attached')
      await client.query(`alter table ${parent} detach partition walhook.${name} concurrently`)
    if (day.state === 'detaching')
      await client.query(`alter table ${parent} detach partition walhook.${name} finalize`)
    if (await isNeeded()) {
      await client.query(
        `alter table ${parent} attach partition walhook.${name}
         for values from (${firstIdAt(day.startMs)}) to (${firstIdAt(day.startMs + dayMs)})`,
      )
      return 'needed'
    }
    await client.query(`drop table walhook.${name}`)
    return 'dropped'
  } catch (error) {
    if (error instanceof pg.DatabaseError && error.code === lockNotAvailable) return 'others are in the way'
    throw error
  }
}

const lockNotAvailable = '55P03'
