import type pg from 'pg'
import type { Role } from '../../domain/access/role.ts'
import { fields } from '../database/fields.ts'

export type Link = {
  readonly tenant: string
  readonly role: Role
  readonly name: string
  readonly userId: string | null
  readonly language: string | null
  readonly path: string
}

/**
 * Stores a link by its SHA-256, of a stored token or, by MAC, of the configured one. It expires with that token at the
 * latest.
 */
export async function insertLink(
  client: pg.PoolClient,
  link: Link & { hash: Buffer; tokenId: number | null; tokenMac: Buffer | null; forMs: number },
): Promise<{ expiresAt: Date }> {
  const { rows } = await client.query(
    `insert into walhook.session_links (hash, token_id, token_mac, tenant, role, name, user_id, language, path, expires_at)
     select $1, $2, $3, $4, $5, $6, $7, $8, $9,
            least(now() + $10::float8 * interval '1 ms', (select expires_at from walhook.tokens where id = $2))
     returning expires_at`,
    [
      ...[link.hash, link.tokenId, link.tokenMac, link.tenant, link.role, link.name],
      ...[link.userId, link.language, link.path, link.forMs],
    ],
  )
  return { expiresAt: rows[0].expires_at }
}

/** Uses up a link and returns its content; null: it is expired, used or unknown, or its token is revoked or expired. */
export async function takeLink(
  client: pg.PoolClient,
  hash: Buffer,
): Promise<(Link & { readonly tokenId: number | null; readonly tokenMac: Buffer | null }) | null> {
  const { rows } = await client.query(
    `delete from walhook.session_links l where hash = $1 and expires_at > now() and (
       token_id is null or exists (
         select 1 from walhook.tokens t
         where t.id = l.token_id and revoked_at is null and coalesce(t.expires_at > now(), true)))
     returning tenant, role, name, user_id, language, path, token_id, token_mac`,
    [hash],
  )
  return rows[0] ? fields(rows[0]) : null
}

export async function pruneLinks(client: pg.PoolClient): Promise<void> {
  await client.query('delete from walhook.session_links where expires_at < now()')
}
