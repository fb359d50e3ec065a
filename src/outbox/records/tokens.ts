import type pg from 'pg'
import type { Role } from '../../domain/access/role.ts'
import type { Outbox } from '../database/database.ts'
import { fields } from '../database/fields.ts'
import { parameters } from '../database/statement.ts'

/** A stored token, without the token. */
export type Token = {
  readonly id: number
  readonly name: string
  readonly role: Role
  /** The tenant that its holder belongs to; null: to none. */
  readonly tenant: string | null
  /** The user account that its holder is. */
  readonly userId: string | null
  readonly createdAt: Date
  /** From then on it is refused; null: never. */
  readonly expiresAt: Date | null
  /** To the minute. */
  readonly lastUsedAt: Date | null
  readonly revokedAt: Date | null
}

const columns = 'id, name, role, tenant, user_id, created_at, expires_at, last_used_at, revoked_at'

/** Stores a token with a checksum by its SHA-256. */
export async function insertToken(
  db: pg.Pool | pg.PoolClient,
  token: Pick<Token, 'name' | 'role' | 'tenant' | 'userId' | 'expiresAt'> & { hash: Buffer },
): Promise<Token> {
  const { rows } = await db.query(
    `insert into walhook.tokens (name, role, hash, has_checksum, user_id, expires_at, tenant)
     values ($1, $2, $3, true, $4, $5, $6) returning ${columns}`,
    [token.name, token.role, token.hash, token.userId, token.expiresAt, token.tenant],
  )
  return fields(rows[0])
}

/** Its use is noted again after so long; a clock that is wrong costs a query, or a minute. */
const usedAgainMs = 60_000

/** Finds the token with this SHA-256 that is neither revoked nor expired, and notes its use (once a minute at most). */
export async function useToken({ pool }: Outbox, hash: Buffer): Promise<Token | null> {
  const { rows } = await pool.query(
    `select ${columns} from walhook.tokens
     where hash = $1 and revoked_at is null and coalesce(expires_at > now(), true)`,
    [hash],
  )
  if (!rows[0]) return null
  const token = fields<Token>(rows[0])
  if (token.lastUsedAt === null || Date.now() - token.lastUsedAt.getTime() >= usedAgainMs)
    await pool.query(
      `update walhook.tokens set last_used_at = now()
       where id = $1 and (last_used_at is null or last_used_at < now() - interval '1 minute')`,
      [token.id],
    )
  return token
}

/** Tokens by rising id, at most `limit`, those after the id `after`; of a tenant, or (null) of all. */
export async function listTokens(
  { pool }: Outbox,
  page: { limit: number; after: number; tenant: string | null },
): Promise<Token[]> {
  const { values, given } = parameters()
  const conditions = [
    `id > ${given(page.after)}`,
    ...(page.tenant === null ? [] : [`tenant = ${given(page.tenant)}`]),
  ]
  const { rows } = await pool.query(
    `select ${columns} from walhook.tokens where ${conditions.join(' and ')} order by id limit ${given(page.limit)}`,
    values,
  )
  return rows.map(fields<Token>)
}

/** A token that nobody else changes until the transaction ends. */
export async function lockToken(client: pg.PoolClient, id: number): Promise<Token | null> {
  const { rows } = await client.query(`select ${columns} from walhook.tokens where id = $1 for update`, [id])
  return rows[0] ? fields(rows[0]) : null
}

export async function revokeToken(client: pg.PoolClient, id: number): Promise<Token> {
  const { rows } = await client.query(
    `update walhook.tokens set revoked_at = now() where id = $1 returning ${columns}`,
    [id],
  )
  return fields(rows[0])
}
