import type pg from 'pg'
import type { Webhook } from '../../domain/webhook/webhook.ts'
import type { Sealed } from '../../domain/webhook/webhook-secrets.ts'
import type { Outbox } from '../database/database.ts'

/** The envelopes of a webhook `w`; a previous secret only while it is valid. */
export const sealedColumns = `
w.secret, case when w.previous_secret_expires_at > now() then w.previous_secret end as previous_secret, w.headers,
w.client_identity`

export function toSealed(row: {
  secret: string
  previous_secret: string | null
  headers: string | null
  client_identity?: string | null
}): Sealed {
  const { secret, previous_secret: previousSecret, headers, client_identity: identity } = row
  return { secret, previousSecret, headers, ...(identity && { identity }) }
}

/** The id of the next webhook: its envelopes depend on it. */
export async function nextWebhookId(client: Pick<pg.PoolClient, 'query'>): Promise<number> {
  const { rows } = await client.query(
    `select nextval(pg_get_serial_sequence('walhook.webhooks', 'id'))::int as id`,
  )
  return rows[0].id
}

/** The envelopes of a webhook, or null. */
export async function findSealed(db: Pick<pg.PoolClient, 'query'>, id: number): Promise<Sealed | null> {
  const { rows } = await db.query(`select ${sealedColumns} from walhook.webhooks w where w.id = $1`, [id])
  return rows[0] ? toSealed(rows[0]) : null
}

/**
 * Sets a webhook's secret. The old one stays as `previousSecret` for `overlapHours`, replacing an earlier one; null: it
 * expires at once.
 */
export async function setSecret(
  client: pg.PoolClient,
  id: number,
  next: { readonly secret: string; readonly previousSecret: string | null; readonly overlapHours: number },
): Promise<void> {
  await client.query(
    `with previous as materialized (select now() + $4 * interval '1 hour' as ends_at)
     update walhook.webhooks
     set secret = $2, previous_secret = $3,
         previous_secret_expires_at = case when $3::text is not null then (select ends_at from previous) end,
         version = version + 1, updated_at = now()
     where id = $1`,
    [id, next.secret, next.previousSecret, next.overlapHours],
  )
}

/** Locks every webhook with its envelopes, in ascending order of id. */
export async function lockAllSealed(
  client: pg.PoolClient,
): Promise<(Pick<Webhook, 'id' | 'name'> & { sealed: Sealed })[]> {
  const { rows } = await client.query(
    `select w.id, w.name, ${sealedColumns} from walhook.webhooks w order by w.id for no key update`,
  )
  return rows.map(row => ({ id: row.id, name: row.name, sealed: toSealed(row) }))
}

/** Replaces a webhook's envelopes by others with the same content. An expired previous secret is deleted. */
export async function replaceSealed(client: pg.PoolClient, id: number, sealed: Sealed): Promise<void> {
  await client.query(
    `update walhook.webhooks
     set secret = $2, previous_secret = $3, headers = $4, client_identity = $5,
         previous_secret_expires_at = case when $3::text is not null then previous_secret_expires_at end
     where id = $1`,
    [id, sealed.secret, sealed.previousSecret, sealed.headers, sealed.identity ?? null],
  )
}

/**
 * Active webhooks with an envelope of a key outside `keyIds`, with that key's id. Asked before a migration too: older schemas
 * lack some of the columns, and an empty database the table.
 */
export async function webhooksOfOtherKeys(
  outbox: Pick<Outbox, 'pool'>,
  keyIds: readonly string[],
): Promise<{ id: number; name: string; keyId: string }[]> {
  const exists = await outbox.pool.query(`select to_regclass('walhook.webhooks') is not null as exists`)
  if (!exists.rows[0].exists) return []
  const { rows } = await outbox.pool.query(
    `select distinct on (w.id) w.id, w.name, split_part(envelope, ':', 2) as "keyId"
     from walhook.webhooks w
     cross join lateral to_jsonb(w) as row
     cross join lateral unnest(array[
       row ->> 'secret', row ->> 'headers', row ->> 'client_identity',
       case when (row ->> 'previous_secret_expires_at')::timestamptz > now() then row ->> 'previous_secret' end
     ]) as envelope
     where w.is_active and w.disabled_at is null and split_part(envelope, ':', 2) <> all($1)
     order by w.id`,
    [keyIds],
  )
  return rows
}
