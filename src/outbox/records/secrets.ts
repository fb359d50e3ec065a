import type pg from 'pg'
import type { Webhook } from '../../domain/webhook/webhook.ts'
import type { Sealed } from '../../domain/webhook/webhook-secrets.ts'
import type { Outbox } from '../database/database.ts'

/** The envelopes of a webhook `w`; a previous secret only while it signs. */
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

/** The id of a webhook that is still to be inserted: its envelopes are made for it. */
export async function nextWebhookId(client: pg.PoolClient): Promise<number> {
  const { rows } = await client.query(
    `select nextval(pg_get_serial_sequence('walhook.webhooks', 'id'))::int as id`,
  )
  return rows[0].id
}

/** The envelopes of a webhook, or null where there is none. */
export async function findSealed(db: Pick<pg.PoolClient, 'query'>, id: number): Promise<Sealed | null> {
  const { rows } = await db.query(`select ${sealedColumns} from walhook.webhooks w where w.id = $1`, [id])
  return rows[0] ? toSealed(rows[0]) : null
}

/**
 * Gives a webhook another secret. The one before is kept as `previousSecret` for `overlapHours`, in the place of one
 * that was kept until now; with null, it ends at once.
 */
export async function setSecret(
  client: pg.PoolClient,
  id: number,
  next: { readonly secret: string; readonly previousSecret: string | null; readonly overlapHours: number },
): Promise<void> {
  await client.query(
    `update walhook.webhooks
     set secret = $2, previous_secret = $3,
         previous_secret_expires_at = case when $3::text is not null then now() + $4 * interval '1 hour' end,
         version = version + 1, updated_at = now()
     where id = $1`,
    [id, next.secret, next.previousSecret, next.overlapHours],
  )
}

/** Every webhook with its envelopes, by rising id; nobody else changes them until the transaction ends. */
export async function lockAllSealed(
  client: pg.PoolClient,
): Promise<(Pick<Webhook, 'id' | 'name'> & { sealed: Sealed })[]> {
  const { rows } = await client.query(
    `select w.id, w.name, ${sealedColumns} from walhook.webhooks w order by w.id for no key update`,
  )
  return rows.map(row => ({ id: row.id, name: row.name, sealed: toSealed(row) }))
}

/** Replaces the envelopes of a webhook by others with the same content. A previous secret that has ended is forgotten. */
export async function replaceSealed(client: pg.PoolClient, id: number, sealed: Sealed): Promise<void> {
  await client.query(
    `update walhook.webhooks
     set secret = $2, previous_secret = $3, headers = $4, client_identity = $5,
         previous_secret_expires_at = case when $3::text is not null then previous_secret_expires_at end
     where id = $1`,
    [id, sealed.secret, sealed.previousSecret, sealed.headers, sealed.identity ?? null],
  )
}

/** Active webhooks with an envelope of a key that is none of `keyIds`, with that key's id. */
export async function webhooksOfOtherKeys(
  outbox: Outbox,
  keyIds: readonly string[],
): Promise<{ id: number; name: string; keyId: string }[]> {
  const { rows } = await outbox.pool.query(
    `select distinct on (w.id) w.id, w.name, split_part(envelope, ':', 2) as "keyId"
     from walhook.webhooks w
     cross join lateral unnest(array[
       w.secret, w.headers, w.client_identity,
       case when w.previous_secret_expires_at > now() then w.previous_secret end]) as envelope
     where w.is_active and w.disabled_at is null and split_part(envelope, ':', 2) <> all($1)
     order by w.id`,
    [keyIds],
  )
  return rows
}
