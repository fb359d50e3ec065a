import { firstIdAt } from '../domain/time-id.ts'
import { type Outbox, transaction } from './database.ts'

const partitionedTables = ['events', 'attempts', 'ended_deliveries']
const dayMs = 86_400_000
const daysAhead = 7

/** Any number that nothing else in the database locks: the letters of "walhook". */
const advisoryLock = 0x77616c68

/**
 * Makes the daily partitions of events, attempts and ended deliveries for yesterday, today and the next seven days (UTC) where
 * they are missing, at the clock `nowMs`. Yesterday, because the clocks of two machines may differ around
 * midnight. Any number of processes may call it at once.
 */
export async function ensurePartitions(outbox: Outbox, nowMs: number): Promise<void> {
  const today = Math.floor(nowMs / dayMs) * dayMs
  const days = Array.from({ length: daysAhead + 2 }, (_, i) => today + (i - 1) * dayMs)
  const wanted = days.flatMap(startMs =>
    partitionedTables.map(table => ({ table, name: partitionName(table, startMs), startMs })),
  )
  const missing = await partitionsMissing(
    outbox,
    wanted.map(partition => partition.name),
  )
  if (missing.size === 0) return
  await transaction(outbox.pool, async client => {
    await client.query('select pg_advisory_xact_lock($1)', [advisoryLock])
    // A statement that waits for the parent's lock makes every later insert wait behind it.
    await client.query(`set local lock_timeout = '5s'`)
    for (const { table, name, startMs } of wanted.filter(partition => missing.has(partition.name)))
      await client.query(
        `create table if not exists walhook.${name} partition of walhook.${table}
         for values from (${firstIdAt(startMs)}) to (${firstIdAt(startMs + dayMs)})`,
      )
  })
}

function partitionName(table: string, startMs: number): string {
  return `${table}_${new Date(startMs).toISOString().slice(0, 10).replaceAll('-', '')}`
}

async function partitionsMissing(outbox: Outbox, names: string[]): Promise<Set<string>> {
  const { rows } = await outbox.pool.query<{ name: string }>(
    `select name from unnest($1::text[]) as name where to_regclass('walhook.' || name) is null`,
    [names],
  )
  return new Set(rows.map(row => row.name))
}
