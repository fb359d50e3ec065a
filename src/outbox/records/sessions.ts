import type pg from 'pg'
import type { Role } from '../../domain/access/role.ts'
import type { Outbox } from '../database/database.ts'

/** Stores a session by its id's SHA-256, of a stored token or, by MAC, of the configuration. */
export async function insertSession(
  client: pg.PoolClient,
  session: {
    hash: Buffer
    tokenId: number | null
    tokenMac: Buffer | null
    forMs: number
    /** The user, for a link or provider; null: the token's. */
    person: Person | null
    /** Sealed; of a user of the provider. */
    idToken?: string | null
  },
): Promise<{ expiresAt: Date }> {
  const { hash, tokenId, tokenMac, forMs, person, idToken } = session
  // Not after the token's own expiry.
  const { rows } = await client.query({
    name: 'insert_session',
    text: `
insert into walhook.sessions
  (hash, has_checksum, token_id, token_mac, expires_at, tenant, role, name, user_id, subject, id_token)
select $1, true, $2, $3, least(now() + $4::float8 * interval '1 ms', (select expires_at from walhook.tokens where id = $2)),
       $5, $6, $7, $8, $9, $10
returning expires_at`,
    values: [
      ...[hash, tokenId, tokenMac, forMs],
      ...[person?.tenant, person?.role, person?.name, person?.userId, person?.subject, idToken].map(
        one => one ?? null,
      ),
    ],
  })
  return { expiresAt: rows[0].expires_at }
}

/** The user of a link or provider. `subject`: at the provider; null: by a link. */
export type Person = {
  readonly tenant: string | null
  readonly role: Role
  readonly name: string
  readonly userId: string | null
  readonly subject: string | null
}

/** A session's origin: a stored token, or by MAC the configuration; `person`: the user, unless the token has it. */
export type SessionOwner = { readonly person: Person | null } & (
  | { readonly token: { id: number; name: string; role: Role; userId: string | null; tenant: string | null } }
  | { readonly token: null; readonly tokenMac: Buffer }
)

/** Finds a valid session whose token is valid too. */
export async function findSession(outbox: Outbox, hash: Buffer): Promise<SessionOwner | null> {
  const { rows } = await outbox.pool.query({
    name: 'find_session',
    text: `
select s.token_mac, t.id, t.name, t.role, t.user_id, t.tenant,
       s.tenant as its_tenant, s.role as its_role, s.name as its_name, s.user_id as its_user_id, s.subject
from walhook.sessions s left join walhook.tokens t on t.id = s.token_id
where s.hash = $1 and s.expires_at > now()
  and (s.token_id is null or t.revoked_at is null and coalesce(t.expires_at > now(), true))`,
    values: [hash],
  })
  const row = rows[0]
  if (!row) return null
  const { its_tenant, its_role, its_name, its_user_id, subject } = row
  const person =
    its_role === null
      ? null
      : { tenant: its_tenant, role: its_role, name: its_name, userId: its_user_id, subject }
  if (row.id === null) return { person, token: null, tokenMac: row.token_mac }
  const { id, name, role, user_id: userId, tenant } = row
  return { person, token: { id, name, role, userId, tenant } }
}

export async function deleteSession(outbox: Outbox, hash: Buffer): Promise<void> {
  await outbox.pool.query({
    name: 'delete_session',
    text: 'delete from walhook.sessions where hash = $1',
    values: [hash],
  })
}

/** A session's ID token, sealed; null: none. */
export async function findIdToken(outbox: Outbox, hash: Buffer): Promise<string | null> {
  const { rows } = await outbox.pool.query('select id_token from walhook.sessions where hash = $1', [hash])
  return rows[0]?.id_token ?? null
}

/** Ends every session of a link's user with this name. Returns their number. */
export async function deleteSessionsOfLink(
  client: pg.PoolClient,
  { tenant, name, userId }: Person,
): Promise<number> {
  const { rowCount } = await client.query(
    `delete from walhook.sessions
     where tenant = $1 and name = $2 and user_id is not distinct from $3 and subject is null`,
    [tenant, name, userId],
  )
  return rowCount ?? 0
}

/** Ends every session of a subject at the provider with this MAC. Returns their number. */
export async function deleteSessionsOfSubject(
  client: pg.PoolClient,
  subject: string,
  mac: Buffer,
): Promise<number> {
  const { rowCount } = await client.query(
    'delete from walhook.sessions where token_id is null and subject = $1 and token_mac = $2',
    [subject, mac],
  )
  return rowCount ?? 0
}

/** Ends every session of a token (null: the configured one), except those of its links or of a provider. Returns their number. */
export async function deleteSessionsOf(client: pg.PoolClient, tokenId: number | null): Promise<number> {
  // Two statements, because `is not distinct from` uses no index.
  const { rowCount } =
    tokenId === null
      ? await client.query('delete from walhook.sessions where token_id is null and name is null')
      : await client.query('delete from walhook.sessions where token_id = $1 and name is null', [tokenId])
  return rowCount ?? 0
}

export async function pruneSessions(outbox: Outbox): Promise<void> {
  await outbox.pool.query({
    name: 'prune_sessions',
    text: 'delete from walhook.sessions where expires_at < now()',
  })
}
