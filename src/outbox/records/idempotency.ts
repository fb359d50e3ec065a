import type pg from 'pg'
import type { Outbox } from '../database/database.ts'
import { fields } from '../database/fields.ts'

const keptFor = `interval '24 hours'`

/** A call's key and its caller (a token's id, or 0 for the configured one). */
export type CallKey = { readonly holder: number; readonly key: string }

/** Takes a free or expired (24 hours) key. Returns whether it did. */
export async function takeKey(
  outbox: Outbox,
  { holder, key }: CallKey,
  requestHash: Buffer,
): Promise<boolean> {
  const { rowCount } = await outbox.pool.query({
    name: 'take_key',
    text: `
insert into walhook.idempotency_keys as k (holder, key, request_hash) values ($1, $2, $3)
on conflict (holder, key) do update
  set request_hash = excluded.request_hash, created_at = now(), answer = null
  where k.created_at < now() - ${keptFor}`,
    values: [holder, key, requestHash],
  })
  return rowCount === 1
}

type KeyState = {
  readonly requestHash: Buffer
  /** Sealed; null: the call has not ended. */
  readonly answer: string | null
  readonly ageMs: number
}

export async function findKey(outbox: Outbox, { holder, key }: CallKey): Promise<KeyState | null> {
  const { rows } = await outbox.pool.query({
    name: 'find_key',
    text: `
select request_hash, answer, extract(epoch from clock_timestamp() - created_at)::float8 * 1000 as age_ms
from walhook.idempotency_keys where holder = $1 and key = $2`,
    values: [holder, key],
  })
  return rows[0] ? fields(rows[0]) : null
}

export async function storeResponse(outbox: Outbox, { holder, key }: CallKey, answer: string): Promise<void> {
  await outbox.pool.query({
    name: 'store_answer',
    text: 'update walhook.idempotency_keys set answer = $3 where holder = $1 and key = $2 and answer is null',
    values: [holder, key, answer],
  })
}

/** Releases the key of a call that changed nothing. */
export async function freeKey(outbox: Outbox, { holder, key }: CallKey): Promise<void> {
  await outbox.pool.query({
    name: 'free_key',
    text: 'delete from walhook.idempotency_keys where holder = $1 and key = $2 and answer is null',
    values: [holder, key],
  })
}

export async function pruneKeys(outbox: Outbox): Promise<void> {
  await outbox.pool.query({
    name: 'prune_keys',
    text: `delete from walhook.idempotency_keys where created_at < now() - ${keptFor}`,
  })
}

const toResponse = ({ holder, key, answer }: pg.QueryResultRow) => ({ key: { holder, key }, answer })

/** Locks the answers sealed with another key than `keyId`. */
export async function lockResponsesOfOtherKeys(
  client: pg.PoolClient,
  keyId: string,
): Promise<{ key: CallKey; answer: string }[]> {
  const { rows } = await client.query(
    `select holder, key, answer from walhook.idempotency_keys
     where split_part(answer, ':', 2) <> $1 order by holder, key for update`,
    [keyId],
  )
  return rows.map(toResponse)
}

export async function listResponses(outbox: Outbox): Promise<{ key: CallKey; answer: string }[]> {
  const { rows } = await outbox.pool.query(
    'select holder, key, answer from walhook.idempotency_keys where answer is not null order by holder, key',
  )
  return rows.map(toResponse)
}

/** Replaces an answer's envelope; null removes it and leaves the key taken: the call is not repeated. */
export async function replaceResponse(
  db: pg.Pool | pg.PoolClient,
  { holder, key }: CallKey,
  answer: string | null,
): Promise<void> {
  await db.query('update walhook.idempotency_keys set answer = $3 where holder = $1 and key = $2', [
    holder,
    key,
    answer,
  ])
}
