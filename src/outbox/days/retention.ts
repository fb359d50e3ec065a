import pg from 'pg'
import { firstIdAt } from '../../domain/value/time-id.ts'
import type { Outbox } from '../database/database.ts'
import { pruneStates } from '../holders/prune-states.ts'
import { pruneHeads } from '../reading/attempt-head.ts'
import { keepLastAttempts, pruneKeptAttempts } from '../reading/kept-attempts.ts'
import { lockKey } from '../schema/in-schema.ts'
import { cellsWithoutDay, isShownByLog, oldestEventInBatch, webhooksNeedingDay } from './held-days.ts'
import { type DayOf, dayMs, partitionName, startOfDay } from './partitions.ts'

/** The retention of finished work, in days. */
export type Retention = {
  readonly logDays: number
  readonly eventsDays: number
  /** How long a detachment waits for earlier transactions. The next run completes it. */
  readonly waitForOthersMs?: number
}

/** A unique number of advisory locks: "walh", plus one. */
const advisoryLock = lockKey(0x77616c69)

/** In processing order. */
const states = ['detaching', 'detached', 'attached'] as const

/** An expired day of events, and the webhooks and cells that need some of them. */
export type HeldDay = {
  readonly startMs: number
  readonly webhookIds: readonly number[]
  readonly cells: readonly string[]
}

type DroppedDays = { dropped: string[]; held: HeldDay[] }

type Day = {
  readonly table: DayOf
  readonly startMs: number
  /** detaching: invisible to new statements; detached: a table of its own, to be dropped. */
  readonly state: (typeof states)[number]
}

/**
 * Drops expired days at the clock `nowMs`:
 *
 * - of the log, by age alone; each webhook's last ten attempts are copied first, without bodies
 * - of events and ended deliveries together, when no webhook needs one of the events, no cell lacks one, and no logged request contains
 *   one
 *
 * A day is first detached concurrently, which waits for open transactions without blocking appends or settlements, and may be
 * interrupted: the next run continues. One process at a time. Returns the dropped names, and the expired days that webhooks
 * hold.
 */
export async function dropOldDays(outbox: Outbox, nowMs: number, keep: Retention): Promise<DroppedDays> {
  const client = await outbox.pool.connect()
  try {
    const { rows } = await client.query(`select pg_try_advisory_lock(${advisoryLock}) as is_ours`)
    let outcome: DroppedDays = { dropped: [], held: [] }
    if (rows[0].is_ours) {
      await client.query(`set lock_timeout = ${keep.waitForOthersMs ?? 5_000}`)
      outcome = await dropDays(client, outbox, nowMs, keep)
      await client.query(`set lock_timeout = 0; select pg_advisory_unlock(${advisoryLock})`)
    }
    client.release()
    return outcome
  } catch (error) {
    // Closing the connection also ends its settings and lock.
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
  const isPlaced = await isOnOtherNode(client)
  const days = (await readDays(client)).filter(day => day.state !== 'attached' || isOver(day))
  // A table can have one day in detachment: it comes first.
  days.sort((a, b) => states.indexOf(a.state) - states.indexOf(b.state))
  const dropped: string[] = []
  const stuck = new Set<DayOf>()
  async function drop(day: Day, isNeeded?: () => Promise<boolean>) {
    if (stuck.has(day.table)) return
    const outcome = await dropDay(client, day, { isPlaced, isNeeded })
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
  await pruneHeads(outbox)

  const ofEvents = days.filter(({ table }) => table !== 'attempts')
  const oldestInBatch = ofEvents.length === 0 ? null : await oldestEventInBatch(client)
  const held = new Map<number, HeldDay>()
  for (const day of ofEvents) {
    const isNeeded = async () => {
      const webhookIds = await webhooksNeedingDay(client, day.startMs)
      const cells = await cellsWithoutDay(client, day.startMs)
      const isHeld = webhookIds.length > 0 || cells.length > 0
      if (isHeld) held.set(day.startMs, { startMs: day.startMs, webhookIds, cells })
      return isHeld || (await isShownByLog(client, day.startMs, oldestInBatch))
    }
    if (day.state !== 'attached' || !(await isNeeded())) await drop(day, isNeeded)
  }
  await pruneStates(outbox)
  return { dropped, held: [...held.values()] }
}

/** Whether the tables are distributed by Citus, which detaches nothing concurrently: appends and settlements wait for at most `waitForOthersMs`. */
async function isOnOtherNode(client: pg.PoolClient): Promise<boolean> {
  const { rows } = await client.query(`select to_regclass('pg_dist_partition') is not null as has_citus`)
  if (!rows[0].has_citus) return false
  const { rows: placed } = await client.query(
    `select 1 from pg_dist_partition where logicalrelid = 'walhook.events'::regclass`,
  )
  return placed.length > 0
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
 * Detaches and drops a day, unless it `isNeeded` once no transaction can see it: then it is attached again. If other
 * transactions block it for too long, it stays as it is.
 */
async function dropDay(
  client: pg.PoolClient,
  day: Day,
  {
    isPlaced,
    isNeeded = async () => false,
  }: { isPlaced: boolean; isNeeded?: (() => Promise<boolean>) | undefined },
): Promise<'dropped' | 'needed' | 'others are in the way'> {
  const name = nameOf(day)
  const parent = `walhook.${day.table}`
  try {
    if (day.state === 'attached')
      await client.query(
        `alter table ${parent} detach partition walhook.${name} ${isPlaced ? '' : 'concurrently'}`,
      )
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
