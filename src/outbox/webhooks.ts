import { type Selectable, sql } from 'kysely'
import type { Trigger } from '../domain/trigger.ts'
import type { Webhook } from '../domain/webhook.ts'
import { type Outbox, transaction } from './database.ts'
import type { Tables } from './tables.ts'

const columns = [
  'id',
  'name',
  'url',
  'is_active',
  'triggers',
  'previous',
  'update_fields',
  'disabled_at',
  'disabled_reason',
  'created_at',
  'updated_at',
] as const

function toWebhook(row: Pick<Selectable<Tables['walhook.webhooks']>, (typeof columns)[number]>): Webhook {
  return {
    id: row.id,
    name: row.name,
    url: row.url,
    isActive: row.is_active,
    triggers: row.triggers as Trigger[],
    previous: row.previous,
    updateFields: row.update_fields,
    disabledAt: row.disabled_at,
    disabledReason: row.disabled_reason,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  }
}

/** What an admin chooses. */
export type WebhookInput = Pick<Webhook, 'name' | 'url' | 'isActive' | 'triggers'> &
  Partial<Pick<Webhook, 'previous' | 'updateFields'>>

/** `secret` is the encrypted envelope of the signing secret. */
export async function insertWebhook(
  outbox: Outbox,
  input: WebhookInput & { secret: string },
): Promise<Webhook> {
  const row = await outbox.kysely
    .insertInto('walhook.webhooks')
    .values({
      name: input.name,
      url: input.url,
      is_active: input.isActive,
      triggers: [...input.triggers],
      previous: input.previous ?? false,
      update_fields: input.updateFields ? [...input.updateFields] : null,
      secret: input.secret,
    })
    .returning(columns)
    .executeTakeFirstOrThrow()
  return toWebhook(row)
}

/** Webhooks by rising id, at most `limit`, those after the id `after`. */
export async function listWebhooks(
  outbox: Outbox,
  page: { limit: number; after: number },
): Promise<Webhook[]> {
  const rows = await outbox.kysely
    .selectFrom('walhook.webhooks')
    .select(columns)
    .where('id', '>', page.after)
    .orderBy('id')
    .limit(page.limit)
    .execute()
  return rows.map(toWebhook)
}

export async function findWebhook(outbox: Outbox, id: number): Promise<Webhook | null> {
  const row = await outbox.kysely
    .selectFrom('walhook.webhooks')
    .select(columns)
    .where('id', '=', id)
    .executeTakeFirst()
  return row ? toWebhook(row) : null
}

/** The encrypted envelope of a webhook's signing secret, or null where there is no such webhook. */
export async function findWebhookSecret(outbox: Outbox, id: number): Promise<string | null> {
  const row = await outbox.kysely
    .selectFrom('walhook.webhooks')
    .select('secret')
    .where('id', '=', id)
    .executeTakeFirst()
  return row?.secret ?? null
}

/**
 * Changes the fields that are given. Setting `isActive` to true also ends a disabling by walhook, and the
 * lanes that waited meanwhile are due as they were.
 */
export async function updateWebhook(
  outbox: Outbox,
  id: number,
  change: { [Field in keyof WebhookInput]?: WebhookInput[Field] | undefined },
): Promise<Webhook | null> {
  const row = await outbox.kysely
    .updateTable('walhook.webhooks')
    .set({
      ...(change.name !== undefined && { name: change.name }),
      ...(change.url !== undefined && { url: change.url }),
      ...(change.triggers !== undefined && { triggers: [...change.triggers] }),
      ...(change.previous !== undefined && { previous: change.previous }),
      ...(change.updateFields !== undefined && {
        update_fields: change.updateFields && [...change.updateFields],
      }),
      ...(change.isActive !== undefined && { is_active: change.isActive }),
      ...(change.isActive && { disabled_at: null, disabled_reason: null }),
      updated_at: sql<Date>`now()`,
    })
    .where('id', '=', id)
    .returning(columns)
    .executeTakeFirst()
  return row ? toWebhook(row) : null
}

/**
 * Deletes a webhook with all that waits for it; its attempts stay until their time. The row goes first: that
 * waits for every append that has made deliveries for it, and keeps the next ones from making any. Returns
 * whether there was one.
 */
export async function deleteWebhook(outbox: Outbox, id: number): Promise<boolean> {
  return await transaction(outbox.pool, async client => {
    const { rowCount } = await client.query('delete from walhook.webhooks where id = $1', [id])
    await client.query('delete from walhook.lanes where webhook_id = $1', [id])
    await client.query('delete from walhook.deliveries where webhook_id = $1', [id])
    await client.query('delete from walhook.ended_deliveries where webhook_id = $1', [id])
    return rowCount === 1
  })
}
