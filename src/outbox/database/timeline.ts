import pg from 'pg'

/** A session's server does not change its timeline: what is promoted had no session of ours before. */
const timelines = new WeakMap<object, string>()

const readStatement = `
select case when not pg_catalog.pg_is_in_recovery()
       then pg_catalog.left(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_insert_lsn()), 8) end as timeline`

/** Notes the timeline of a new session's server. Servers without WAL of their own refuse to tell: then it is unknown. */
export async function noteTimeline(client: pg.ClientBase): Promise<void> {
  try {
    const { rows } = await client.query(readStatement)
    if (rows[0].timeline !== null) timelines.set(client, rows[0].timeline)
  } catch (error) {
    if (!(error instanceof pg.DatabaseError)) throw error
  }
}

/**
 * The timeline of a session's server; null: unknown. Each promotion and each restoration begins a new one, and may lack the
 * last commits of the one before.
 * https://www.postgresql.org/docs/current/continuous-archiving.html#BACKUP-TIMELINES
 */
export const timelineOf = (client: pg.ClientBase): string | null => timelines.get(client) ?? null
