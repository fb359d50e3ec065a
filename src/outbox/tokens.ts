import { sql } from 'kysely'
import type { Outbox } from './database.ts'

/** Who calls: a stored token's id and name, and the user account that its holder is. */
export type TokenHolder = { readonly id: number; readonly name: string; readonly userId: string | null }

/** Stores a token by its SHA-256. */
export async function insertToken(
  outbox: Outbox,
  token: { name: string; hash: Buffer; userId: string | null },
): Promise<TokenHolder> {
  const row = await outbox.kysely
    .insertInto('walhook.tokens')
    .values({ name: token.name, hash: token.hash, user_id: token.userId })
    .returning(['id', 'name', 'user_id'])
    .executeTakeFirstOrThrow()
  return { id: row.id, name: row.name, userId: row.user_id }
}

/** Finds the token with this SHA-256 that was not revoked, and notes its use (once a minute at most). */
export async function useToken(outbox: Outbox, hash: Buffer): Promise<TokenHolder | null> {
  const row = await outbox.kysely
    .selectFrom('walhook.tokens')
    .select(['id', 'name', 'user_id'])
    .where('hash', '=', hash)
    .where('revoked_at', 'is', null)
    .executeTakeFirst()
  if (!row) return null
  await outbox.kysely
    .updateTable('walhook.tokens')
    .set({ last_used_at: sql<Date>`now()` })
    .where('id', '=', row.id)
    .where(sql<boolean>`last_used_at is null or last_used_at < now() - interval '1 minute'`)
    .execute()
  return { id: row.id, name: row.name, userId: row.user_id }
}
