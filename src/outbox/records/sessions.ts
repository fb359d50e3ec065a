import type pg from 'pg'
import type { Role } from '../../domain/access/role.ts'
import type { Outbox } from '../database/database.ts'
import type { Link } from './links.ts'

/** Starts a session, kept by the SHA-256 of its id with its checksum, of a stored token or, by its MAC, of the configured one. */
export async function insertSession(
  client: pg.PoolClient,
  session: {
    hash: Buffer
    tokenId: number | null
    tokenMac: Buffer | null
    forMs: number
    /** Who it is, where a link began it; null: its token says so. */
    link: LinkHolder | null
  },
): Promise<{ expiresAt: Date }> {
  // Not beyond its token's own end.
  const { rows } = await client.query({
    name: 'insert_session',
    text: `
insert into walhook.sessions (hash, has_checksum, token_id, token_mac, tenant, role, name, user_id, expires_at)
select $1, true, $2, $3, $5, $6, $7, $8, least(now() + $4::float8 * interval '1 ms', (select expires_at from walhook.tokens where id = $2))
returning expires_at`,
    values: [
      ...[session.hash, session.tokenId, session.tokenMac, session.forMs],
      ...[session.link?.tenant, session.link?.role, session.link?.name, session.link?.userId].map(
        one => one ?? null,
      ),
    ],
  })
  return { expiresAt: rows[0].expires_at }
}

/** Whom a link has let in. */
export type LinkHolder = Pick<Link, 'tenant' | 'role' | 'name' | 'userId'>

/** Whose session it is: a stored token's, or that of the configured token with this MAC; `link`: who came by a link that it made. */
export type SessionOwner = { readonly link: LinkHolder | null } & (
  | { readonly token: { id: number; name: string; role: Role; userId: string | null; tenant: string | null } }
  | { readonly token: null; readonly tokenMac: Buffer }
)

/** Finds a session that has not ended, and whose token is neither revoked nor expired. */
export async function findSession(outbox: Outbox, hash: Buffer): Promise<SessionOwner | null> {
  const { rows } = await outbox.pool.query({
    name: 'find_session',
    text: `
select s.token_mac, t.id, t.name, t.role, t.user_id, t.tenant,
       s.tenant as link_tenant, s.role as link_role, s.name as link_name, s.user_id as link_user_id
from walhook.sessions s left join walhook.tokens t on t.id = s.token_id
where s.hash = $1 and s.expires_at > now()
  and (s.token_id is null or t.revoked_at is null and coalesce(t.expires_at > now(), true))`,
    values: [hash],
  })
  const row = rows[0]
  if (!row) return null
  const link = row.link_tenant && {
    ...{ tenant: row.link_tenant, role: row.link_role, name: row.link_name, userId: row.link_user_id },
  }
  if (row.id === null) return { link, token: null, tokenMac: row.token_mac }
  const { id, name, role, user_id: userId, tenant } = row
  return { link, token: { id, name, role, userId, tenant } }
}

/** Ends one session, by its hash. */
export async function deleteSession(outbox: Outbox, hash: Buffer): Promise<void> {
  await outbox.pool.query({
    name: 'delete_session',
    text: 'delete from walhook.sessions where hash = $1',
    values: [hash],
  })
}

/** Ends every session of whoever a link has let in under this name. Returns how many there were. */
export async function deleteSessionsOfLink(client: pg.PoolClient, link: LinkHolder): Promise<number> {
  const { rowCount } = await client.query(
    `delete from walhook.sessions where tenant = $1 and name = $2 and user_id is not distinct from $3`,
    [link.tenant, link.name, link.userId],
  )
  return rowCount ?? 0
}

/** Ends every session of a token (null: of the configured one), but not those of its links. Returns how many there were. */
export async function deleteSessionsOf(client: pg.PoolClient, tokenId: number | null): Promise<number> {
  // Two statements, because `is not distinct from` uses no index.
  const { rowCount } =
    tokenId === null
      ? await client.query('delete from walhook.sessions where token_id is null and name is null')
      : await client.query('delete from walhook.sessions where token_id = $1 and name is null', [tokenId])
  return rowCount ?? 0
}

/** Forgets sessions that have ended by themselves. */
export async function pruneSessions(outbox: Outbox): Promise<void> {
  await outbox.pool.query({
    name: 'prune_sessions',
    text: 'delete from walhook.sessions where expires_at < now()',
  })
}
