import type { Outbox } from '../database/database.ts'

/** Records the return of a sign-in, by its state's SHA-256; returns whether it is the first. */
export async function useSignIn(outbox: Pick<Outbox, 'pool'>, hash: Buffer, forMs: number): Promise<boolean> {
  await outbox.pool.query('delete from walhook.used_sign_ins where expires_at < now()')
  const { rowCount } = await outbox.pool.query(
    `insert into walhook.used_sign_ins (state_hash, expires_at)
     values ($1, now() + $2::float8 * interval '1 ms') on conflict do nothing`,
    [hash, forMs],
  )
  return rowCount === 1
}
