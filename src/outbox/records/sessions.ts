import type pg from 'pg'
import type { Role } from '../../domain/access/role.ts'
import type { Outbox } from '../database/database.ts'

/** Starts a session, kept by the SHA-256 of its id with its checksum, of a stored token or, by its MAC, of the configured one. */
export async function insertSession(
  client: pg.PoolClient,
  session: { hash: Buffer; tokenId: number | null; tokenMac: Buffer | null; forMs: number },
): Promise<{ expiresAt: Date }> {
  // Not beyond its token's own end.
  const { rows } = await client.query({
    name: 'insert_session',
    text: `
insert into walhook.sessions (hash, has_checksum, token_id, token_mac, expires_at)
select $1, true, $2, $3, least(now() + $4::float8 * interval '1 ms', (select expires_at from walhook.tokens where id = $2))
returning expires_at`,
    values: [session.hash, session.tokenId, session.tokenMac, session.forMs],
  })
  return { expiresAt: rows[0].expires_at }
}

/** Whose session it is: a stored token's, or that of the configured token with this MAC. */
export type SessionOwner =
  | { readonly token: { id: number; name: string; role: Role; userId: string | null; tenant: string | null } }
  | { readonly token: null; readonly tokenMac: Buffer }

/** Finds a session that has not ended, and whose token is neither revoked nor expired. */
export async function findSession(outbox: Outbox, hash: Buffer): Promise<SessionOwner | null> {
  const { rows } = await outbox.pool.query({
    name: 'find_session',
    text: `
select s.token_mac, t.id, t.name, t.role, t.user_id, t.tenant
from walhook.sessions s left join walhook.tokens t on t.id = s.token_id
where s.hash = $1 and s.expires_at > now()
  and (s.token_id is null or t.revoked_at is null and coalesce(t.expires_at > now(), true))`,
    values: [hash],
  })
  const row = rows[0]
  if (!row) return null
  if (row.id === null) return { token: null, tokenMac: row.token_mac }
  const { id, name, role, user_id: userId, tenant } = row
  return { token: { id, name, role, userId, tenant } }
}

/** Ends one session, by its hash. */
export async function deleteSession(outbox: Outbox, hash: Buffer): Promise<void> {
  await outbox.pool.query({
    name: 'delete_session',
    text: 'delete from walhook.sessions where hash = $1',
    values: [hash],
  })
}

/** Ends every session of a token (null: of the configured one). Returns how many there were. */
export async function deleteSessionsOf(client: pg.PoolClient, tokenId: number | null): Promise<number> {
  // Two statements, because `is not distinct from` uses no index.
  const { rowCount } =
    tokenId === null
      ? await client.query('delete from walhook.sessions where token_id is null')
      : await client.query('delete from walhook.sessions where token_id = $1', [tokenId])
  return rowCount ?? 0
}

/** Forgets sessions that have ended by themselves. */
export async function pruneSessions(outbox: Outbox): Promise<void> {
  await outbox.pool.query({
    name: 'prune_sessions',
    text: 'delete from walhook.sessions where expires_at < now()',
  })
}
