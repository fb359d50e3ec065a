import type pg from 'pg'
import { until } from './wait.ts'

type Psql = Pick<pg.Client, 'query'>

/** Waits until nobody reads the slot: the server notices a reader that has gone only when it next writes to it. */
export const slotIsFree = (psql: Psql, slot: string) =>
  until(
    async () =>
      (await psql.query('select from pg_replication_slots where slot_name = $1 and not active', [slot]))
        .rowCount === 1,
    { what: `the slot ${slot} to be free` },
  )

/** Drops the slot as soon as nobody reads it. With `end`, whoever reads it is ended, as often as it comes back. */
export async function dropSlot(psql: Psql, slot: string, { end = false } = {}): Promise<void> {
  await until(
    async () => {
      if (end)
        await psql.query(
          'select pg_terminate_backend(active_pid) from pg_replication_slots where slot_name = $1',
          [slot],
        )
      const { rowCount } = await psql.query(
        'select pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name = $1 and not active',
        [slot],
      )
      return rowCount === 1
    },
    { what: `the slot ${slot} to be dropped` },
  )
}

/** Drops all slots of a database; whoever reads one is ended. */
export async function dropSlotsOf(psql: Psql, database: string): Promise<void> {
  const dropFree = `
    select count(*) filter (where active) as busy,
           count(pg_terminate_backend(active_pid)) as ended,
           count(case when not active then pg_drop_replication_slot(slot_name) end) as dropped
    from pg_replication_slots where database = $1`
  await until(async () => Number((await psql.query(dropFree, [database])).rows[0].busy) === 0, {
    what: `the replication slots of ${database} to be dropped`,
  })
}
