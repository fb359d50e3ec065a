import type { TestOutbox } from './open-outbox.ts'

/**
 * From now on, Postgres knows of the outbox's tables, and of the days that are there, what the test lets it know: in the background it
 * analyzes none of them, which changes plans, and vacuums none, which reads pages.
 */
export async function keepStatistics({ outbox }: Pick<TestOutbox, 'outbox'>): Promise<void> {
  const { rows } = await outbox.pool.query<{ name: string }>(
    `select oid::regclass::text as name from pg_class where relnamespace = 'walhook'::regnamespace and relkind = 'r'`,
  )
  await outbox.pool.query(
    rows.map(({ name }) => `alter table ${name} set (autovacuum_enabled = off)`).join(';'),
  )
}
