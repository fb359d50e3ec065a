import type pg from 'pg'
import { firstIdAt } from '../../domain/value/time-id.ts'
import { type Outbox, transaction } from '../database/database.ts'
import { lockKey } from '../schema/in-schema.ts'

const partitionedTables = ['events', 'attempts', 'ended_deliveries'] as const
export type DayOf = (typeof partitionedTables)[number]

export const dayMs = 86_400_000
const daysInAdvance = 7

/** A unique number of advisory locks: "walh". */
const advisoryLock = lockKey(0x77616c68)

/**
 * Creates the missing daily partitions of events, attempts and ended deliveries from yesterday (clocks may differ around
 * midnight) to seven days ahead, in UTC at the clock `nowMs`. Concurrent calls are safe.
 */
export async function ensurePartitions(outbox: Outbox, nowMs: number): Promise<void> {
  const today = Math.floor(nowMs / dayMs) * dayMs
  const days = Array.from({ length: daysInAdvance + 2 }, (_, i) => today + (i - 1) * dayMs)
  const wanted = days.flatMap(startMs =>
    partitionedTables.map(table => ({ table, name: partitionName(table, startMs), startMs })),
  )
  const missing = await partitionsMissing(
    outbox.pool,
    wanted.map(partition => partition.name),
  )
  if (missing.size === 0) return
  await transaction(outbox.pool, async client => {
    await client.query(`select pg_advisory_xact_lock(${advisoryLock})`)
    for (const { table, name, startMs } of wanted.filter(partition => missing.has(partition.name))) {
      if (!(await partitionsMissing(client, [name])).has(name)) continue
      // Created alone and attached: "create … partition of" waits for every open transaction on the parent, and appends wait
      // behind it.
      // https://www.postgresql.org/docs/current/sql-altertable.html
      await client.query(
        `create table walhook.${name} (like walhook.${table} including defaults including constraints)`,
      )
      await client.query(
        `alter table walhook.${table} attach partition walhook.${name}
         for values from (${firstIdAt(startMs)}) to (${firstIdAt(startMs + dayMs)})`,
      )
    }
  })
}

/** As events_20260131. */
export function partitionName(table: DayOf, startMs: number): string {
  return `${table}_${new Date(startMs).toISOString().slice(0, 10).replaceAll('-', '')}`
}

/** The first millisecond of a day as in a partition's name: 20260131. */
export function startOfDay(digits: string): number {
  return Date.parse(`${digits.slice(0, 4)}-${digits.slice(4, 6)}-${digits.slice(6)}T00:00:00Z`)
}

async function partitionsMissing(db: pg.Pool | pg.PoolClient, names: string[]): Promise<Set<string>> {
  const { rows } = await db.query<{ name: string }>(
    // Not by to_regclass, whose cache may miss another process' partition.
    `select name from unnest($1::text[]) as name
     where not exists (select 1 from pg_class where relname = name and relnamespace = 'walhook'::regnamespace)`,
    [names],
  )
  return new Set(rows.map(row => row.name))
}
