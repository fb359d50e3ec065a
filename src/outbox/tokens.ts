import { type Selectable, sql } from 'kysely'
import type { Role } from '../domain/role.ts'
import type { Outbox } from './database.ts'
import type { Tables } from './tables.ts'

/** A stored token, without the token. */
export type Token = {
  readonly id: number
  readonly name: string
  readonly role: Role
  /** The user account that its holder is. */
  readonly userId: string | null
  readonly createdAt: Date
  /** From then on it is refused; null: never. */
  readonly expiresAt: Date | null
  /** To the minute. */
  readonly lastUsedAt: Date | null
  readonly revokedAt: Date | null
}

const columns = [
  'id',
  'name',
  'role',
  'user_id',
  'created_at',
  'expires_at',
  'last_used_at',
  'revoked_at',
] as const

function toToken(row: Pick<Selectable<Tables['walhook.tokens']>, (typeof columns)[number]>): Token {
  return {
    id: row.id,
    name: row.name,
    role: row.role,
    userId: row.user_id,
    createdAt: row.created_at,
    expiresAt: row.expires_at,
    lastUsedAt: row.last_used_at,
    revokedAt: row.revoked_at,
  }
}

/** Stores a token with a checksum by its SHA-256. */
export async function insertToken(
  db: Pick<Outbox, 'kysely'>,
  token: { name: string; role: Role; hash: Buffer; userId: string | null; expiresAt: Date | null },
): Promise<Token> {
  const row = await db.kysely
    .insertInto('walhook.tokens')
    .values({
      name: token.name,
      role: token.role,
      hash: token.hash,
      has_checksum: true,
      user_id: token.userId,
      expires_at: token.expiresAt,
    })
    .returning(columns)
    .executeTakeFirstOrThrow()
  return toToken(row)
}

/** Its use is noted again after so long; a clock that is wrong costs a query, or a minute. */
const usedAgainMs = 60_000

/** Finds the token with this SHA-256 that is neither revoked nor expired, and notes its use (once a minute at most). */
export async function useToken(outbox: Outbox, hash: Buffer): Promise<Token | null> {
  const row = await outbox.kysely
    .selectFrom('walhook.tokens')
    .select(columns)
    .where('hash', '=', hash)
    .where('revoked_at', 'is', null)
    .where(sql<boolean>`coalesce(expires_at > now(), true)`)
    .executeTakeFirst()
  if (!row) return null
  if (row.last_used_at && Date.now() - row.last_used_at.getTime() < usedAgainMs) return toToken(row)
  await outbox.kysely
    .updateTable('walhook.tokens')
    .set({ last_used_at: sql<Date>`now()` })
    .where('id', '=', row.id)
    .where(sql<boolean>`last_used_at is null or last_used_at < now() - interval '1 minute'`)
    .execute()
  return toToken(row)
}

/** Tokens by rising id, at most `limit`, those after the id `after`. */
export async function listTokens(outbox: Outbox, page: { limit: number; after: number }): Promise<Token[]> {
  const rows = await outbox.kysely
    .selectFrom('walhook.tokens')
    .select(columns)
    .where('id', '>', page.after)
    .orderBy('id')
    .limit(page.limit)
    .execute()
  return rows.map(toToken)
}

/** A token that nobody else changes until the transaction ends. */
export async function lockToken(db: Pick<Outbox, 'kysely'>, id: number): Promise<Token | null> {
  const row = await db.kysely
    .selectFrom('walhook.tokens')
    .select(columns)
    .where('id', '=', id)
    .forUpdate()
    .executeTakeFirst()
  return row ? toToken(row) : null
}

export async function revokeToken(db: Pick<Outbox, 'kysely'>, id: number): Promise<Token> {
  const row = await db.kysely
    .updateTable('walhook.tokens')
    .set({ revoked_at: sql<Date>`now()` })
    .where('id', '=', id)
    .returning(columns)
    .executeTakeFirstOrThrow()
  return toToken(row)
}
