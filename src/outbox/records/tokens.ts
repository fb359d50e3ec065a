import type pg from 'pg'
import type { Role } from '../../domain/access/role.ts'
import type { Outbox } from '../database/database.ts'
import { fields } from '../database/fields.ts'
import { parameters } from '../database/statement.ts'

/** A stored token, without its text. */
export type Token = {
  readonly id: number
  readonly name: string
  readonly role: Role
  /** The holder's tenant; null: none. */
  readonly tenant: string | null
  /** The holder's user account. */
  readonly userId: string | null
  readonly createdAt: Date
  /** Its expiry; null: never. */
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

/** The interval of recording a token's use; a wrong clock costs a query, or a minute. */
const usedAgainMs = 60_000

/** Finds the valid token with this SHA-256, and records its use (once a minute at most). */
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

/** Tokens in ascending order of id, at most `limit`, after the id `after`; of a tenant or all (null). */
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
