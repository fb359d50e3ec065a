import type { Outbox } from './database.ts'

/** Forgets which events were cancelled while they waited in the log, once these are not kept any more. */
export async function dropOldSkips({ pool }: Pick<Outbox, 'pool'>): Promise<void> {
  await pool.query('delete from walhook.skips where up_to < (select min(id) from walhook.events)')
}
