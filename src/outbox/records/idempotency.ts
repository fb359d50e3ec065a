import type pg from 'pg'
import type { Outbox } from '../database/database.ts'
import { fields } from '../database/fields.ts'

const keptFor = `interval '24 hours'`

/** A call that brought a key: who (a token's id, or 0 for the one of the configuration), and the key. */
export type CallKey = { readonly holder: number; readonly key: string }

/** Takes a key that is free, or was last used more than 24 hours ago. Returns whether it was. */
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

export type KeyState = {
  readonly requestHash: Buffer
  /** Sealed; null where the call has not ended. */
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

/** Keeps the answer of the call that has taken the key. */
export async function storeAnswer(outbox: Outbox, { holder, key }: CallKey, answer: string): Promise<void> {
  await outbox.pool.query({
    name: 'store_answer',
    text: 'update walhook.idempotency_keys set answer = $3 where holder = $1 and key = $2 and answer is null',
    values: [holder, key, answer],
  })
}

/** Gives a key back whose call has changed nothing. */
export async function freeKey(outbox: Outbox, { holder, key }: CallKey): Promise<void> {
  await outbox.pool.query({
    name: 'free_key',
    text: 'delete from walhook.idempotency_keys where holder = $1 and key = $2 and answer is null',
    values: [holder, key],
  })
}

/** Forgets the keys of calls that were made more than 24 hours ago. */
export async function pruneKeys(outbox: Outbox): Promise<void> {
  await outbox.pool.query({
    name: 'prune_keys',
    text: `delete from walhook.idempotency_keys where created_at < now() - ${keptFor}`,
  })
}

const toAnswer = ({ holder, key, answer }: pg.QueryResultRow) => ({ key: { holder, key }, answer })

/** The answers that are sealed with another key than `keyId`; nobody else changes them until the transaction ends. */
export async function lockAnswersOfOtherKeys(
  client: pg.PoolClient,
  keyId: string,
): Promise<{ key: CallKey; answer: string }[]> {
  const { rows } = await client.query(
    `select holder, key, answer from walhook.idempotency_keys
     where split_part(answer, ':', 2) <> $1 order by holder, key for update`,
    [keyId],
  )
  return rows.map(toAnswer)
}

/** Every answer that is kept. */
export async function listAnswers(outbox: Outbox): Promise<{ key: CallKey; answer: string }[]> {
  const { rows } = await outbox.pool.query(
    'select holder, key, answer from walhook.idempotency_keys where answer is not null order by holder, key',
  )
  return rows.map(toAnswer)
}

/** Replaces an answer by another envelope of the same; null takes it away and leaves its key taken: the call is not carried out again. */
export async function replaceAnswer(
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
