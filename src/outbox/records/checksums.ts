import type { Outbox } from '../database/database.ts'

/** The key of the checksums in tokens and session ids. */
export async function readChecksumKey(outbox: Pick<Outbox, 'pool'>): Promise<Buffer> {
  const { rows } = await outbox.pool.query('select key from walhook.checksum_key')
  return rows[0].key
}

/** The SHA-256 of each valid token without a checksum, from older versions. */
export async function tokensWithoutChecksum(outbox: Pick<Outbox, 'pool'>): Promise<Buffer[]> {
  const { rows } = await outbox.pool.query(`
select hash from walhook.tokens
where not has_checksum and revoked_at is null and coalesce(expires_at > now(), true)`)
  return rows.map(row => row.hash)
}

/** The SHA-256 of each valid session without a checksum. */
export async function sessionsWithoutChecksum(outbox: Pick<Outbox, 'pool'>): Promise<Buffer[]> {
  const { rows } = await outbox.pool.query(
    'select hash from walhook.sessions where not has_checksum and expires_at > now()',
  )
  return rows.map(row => row.hash)
}
