import { type Selectable, sql } from 'kysely'
import type pg from 'pg'
import type { ShownCertificate } from '../domain/client-certificate.ts'
import type { Trigger } from '../domain/trigger.ts'
import type { Batching, Webhook } from '../domain/webhook.ts'
import type { Outbox } from './database.ts'
import type { Tables } from './tables.ts'

export const columns = [
  'id',
  'name',
  'url',
  'is_active',
  'triggers',
  'previous',
  'update_fields',
  'mode',
  'log_bodies',
  'batch_max_events',
  'batch_max_wait_ms',
  'header_names',
  'client_certificate',
  'previous_secret_expires_at',
  'disabled_at',
  'disabled_reason',
  'failing_since',
  'failed_for_ms',
  'failed_at',
  'next_try_at',
  'held_until',
  'version',
  'created_at',
  'updated_at',
] as const

export function toWebhook(
  row: Pick<Selectable<Tables['walhook.webhooks']>, (typeof columns)[number]>,
): Webhook {
  return {
    id: row.id,
    name: row.name,
    url: row.url,
    isActive: row.is_active,
    triggers: row.triggers as Trigger[],
    previous: row.previous,
    updateFields: row.update_fields,
    mode: row.mode,
    logBodies: row.log_bodies,
    batch: toBatching(row),
    headerNames: row.header_names,
    clientCertificate: row.client_certificate && {
      subject: row.client_certificate.subject,
      fingerprint: row.client_certificate.fingerprint,
      expiresAt: new Date(row.client_certificate.expires_at),
    },
    previousSecretExpiresAt:
      row.previous_secret_expires_at && row.previous_secret_expires_at.getTime() > Date.now()
        ? row.previous_secret_expires_at
        : null,
    disabledAt: row.disabled_at,
    disabledReason: row.disabled_reason,
    failingSince: row.failing_since,
    failingTime: row.failed_at && {
      failedForMs: Number(row.failed_for_ms),
      failedAt: row.failed_at,
      nextTryAt: row.next_try_at,
    },
    heldUntil: row.held_until,
    version: row.version,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  }
}

/** The pool, or a transaction. */
type Db = Pick<Outbox, 'kysely'>

/** The two columns are null together. */
export function toBatching(
  row: Pick<Selectable<Tables['walhook.webhooks']>, 'batch_max_events' | 'batch_max_wait_ms'>,
): Batching | null {
  const { batch_max_events: maxEvents, batch_max_wait_ms: maxWaitMs } = row
  return maxEvents === null || maxWaitMs === null ? null : { maxEvents, maxWaitMs }
}

/** What an admin chooses. */
export type WebhookInput = Pick<Webhook, 'name' | 'url' | 'isActive' | 'triggers'> & {
  readonly [Field in 'previous' | 'updateFields' | 'mode' | 'logBodies' | 'batch']?:
    | Webhook[Field]
    | undefined
}

/** Custom headers: their names, and the envelope with their values. */
export type SealedHeaders = { readonly names: readonly string[]; readonly envelope: string | null }

/** A client certificate: what may be shown of it, and the envelope with it and its key; null: none. */
export type SealedIdentity = { readonly shown: ShownCertificate; readonly envelope: string } | null

function identityColumns(identity: SealedIdentity) {
  return {
    client_identity: identity?.envelope ?? null,
    client_certificate:
      identity &&
      JSON.stringify({
        subject: identity.shown.subject,
        fingerprint: identity.shown.fingerprint,
        expires_at: identity.shown.expiresAt.toISOString(),
      }),
  }
}

/** `secret` is the encrypted envelope of the signing secret, `id` one of `nextWebhookId`, or absent for the next one. */
export async function insertWebhook(
  db: Db,
  input: WebhookInput & {
    id?: number
    secret: string
    sealedHeaders?: SealedHeaders
    sealedIdentity?: SealedIdentity
  },
): Promise<Webhook> {
  const row = await db.kysely
    .insertInto('walhook.webhooks')
    .values({
      ...(input.id !== undefined && { id: input.id }),
      headers: input.sealedHeaders?.envelope ?? null,
      header_names: [...(input.sealedHeaders?.names ?? [])],
      ...identityColumns(input.sealedIdentity ?? null),
      name: input.name,
      url: input.url,
      is_active: input.isActive,
      triggers: [...input.triggers],
      previous: input.previous ?? false,
      update_fields: input.updateFields ? [...input.updateFields] : null,
      mode: input.mode ?? 'every',
      log_bodies: input.logBodies ?? 'all',
      batch_max_events: input.batch?.maxEvents ?? null,
      batch_max_wait_ms: input.batch?.maxWaitMs ?? null,
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

/** A webhook that nobody else changes until the transaction ends. */
export async function lockWebhook(db: Db, id: number): Promise<Webhook | null> {
  const row = await db.kysely
    .selectFrom('walhook.webhooks')
    .select(columns)
    .where('id', '=', id)
    .forUpdate()
    .executeTakeFirst()
  return row ? toWebhook(row) : null
}

export async function findWebhook(outbox: Db, id: number): Promise<Webhook | null> {
  const row = await outbox.kysely
    .selectFrom('walhook.webhooks')
    .select(columns)
    .where('id', '=', id)
    .executeTakeFirst()
  return row ? toWebhook(row) : null
}

/** The names of these webhooks, by their ids; one that there is not has none. */
export async function webhookNames(outbox: Db, ids: readonly number[]): Promise<Map<number, string>> {
  if (ids.length === 0) return new Map()
  const rows = await outbox.kysely
    .selectFrom('walhook.webhooks')
    .select(['id', 'name'])
    .where('id', 'in', [...new Set(ids)])
    .execute()
  return new Map(rows.map(({ id, name }) => [id, name]))
}

/**
 * Changes the fields that are given. Setting `isActive` to true also ends a disabling by walhook, and what
 * waited meanwhile goes on. A webhook that is activated anew, or gets another URL, begins
 * with a clean sheet: what its receiver did before is forgotten.
 */
export async function updateWebhook(
  db: Db,
  id: number,
  change: { [Field in keyof WebhookInput]?: WebhookInput[Field] | undefined } & {
    readonly sealedHeaders?: SealedHeaders | undefined
    readonly sealedIdentity?: SealedIdentity | undefined
  },
): Promise<Webhook | null> {
  const row = await db.kysely
    .updateTable('walhook.webhooks')
    .set({
      ...(change.name !== undefined && { name: change.name }),
      ...(change.url !== undefined && { url: change.url }),
      ...(change.triggers !== undefined && { triggers: [...change.triggers] }),
      ...(change.previous !== undefined && { previous: change.previous }),
      ...(change.updateFields !== undefined && {
        update_fields: change.updateFields && [...change.updateFields],
      }),
      ...(change.mode !== undefined && { mode: change.mode }),
      ...(change.logBodies !== undefined && { log_bodies: change.logBodies }),
      ...(change.batch !== undefined && {
        batch_max_events: change.batch?.maxEvents ?? null,
        batch_max_wait_ms: change.batch?.maxWaitMs ?? null,
      }),
      ...(change.sealedHeaders && {
        headers: change.sealedHeaders.envelope,
        header_names: [...change.sealedHeaders.names],
      }),
      ...(change.sealedIdentity !== undefined && identityColumns(change.sealedIdentity)),
      ...(change.isActive !== undefined && { is_active: change.isActive }),
      ...(change.isActive && { disabled_at: null, disabled_reason: null }),
      failing_since: unlessNew('failing_since', change),
      failed_for_ms: unlessNew('failed_for_ms', change),
      failed_at: unlessNew('failed_at', change),
      next_try_at: unlessNew('next_try_at', change),
      held_until: unlessNew('held_until', change),
      activated_at: sql<Date>`case when ${isNew(change)} then clock_timestamp() else activated_at end`,
      version: sql<number>`version + 1`,
      updated_at: sql<Date>`now()`,
    })
    .where('id', '=', id)
    .returning(columns)
    .executeTakeFirst()
  return row ? toWebhook(row) : null
}

type Renewal = { url?: string | null | undefined; isActive?: boolean | undefined }

/** Whether a change activates the webhook anew, or gives it another URL. */
function isNew({ url = null, isActive = false }: Renewal) {
  return sql<boolean>`(url <> ${url}::text
    or (${isActive}::boolean and (not is_active or disabled_at is not null))) is true`
}

function unlessNew<
  Column extends 'failing_since' | 'failed_at' | 'next_try_at' | 'held_until' | 'failed_for_ms',
>(column: Column, change: Renewal) {
  type Value = Column extends 'failed_for_ms' ? string | null : Date | null
  return sql<Value>`case when ${isNew(change)} then null else ${sql.ref(column)} end`
}

/**
 * Deletes a webhook, with its places in the log; its attempts stay until their time. In a transaction that has stopped every holder:
 * none of them sets anything aside for it afterwards. Returns whether there was one.
 */
export async function deleteWebhook(client: pg.PoolClient, id: number): Promise<boolean> {
  const { rowCount } = await client.query('delete from walhook.webhooks where id = $1', [id])
  await client.query('delete from walhook.streams where webhook_id = $1', [id])
  await client.query('delete from walhook.skips where webhook_id = $1', [id])
  return rowCount === 1
}

const rowsAtOnce = 10_000

/** Deletes what waited for webhooks that are gone, page by page: nobody sends it any more, and nobody waits for this. */
export async function deleteLeftovers({ pool }: Pick<Outbox, 'pool'>): Promise<void> {
  for (const table of ['deliveries', 'batches', 'ended_deliveries']) {
    const { rows } = await pool.query(`
      with recursive w as (
        (select webhook_id from walhook.${table} order by webhook_id limit 1)
        union all
        select next.webhook_id from w cross join lateral (
          select d.webhook_id from walhook.${table} d where d.webhook_id > w.webhook_id order by d.webhook_id limit 1
        ) next
      )
      select webhook_id from w where not exists (select from walhook.webhooks where id = w.webhook_id)`)
    for (const { webhook_id } of rows)
      for (let isMore = true; isMore; ) {
        const { rowCount } = await pool.query(
          `delete from walhook.${table} d using (
             select tableoid, ctid from walhook.${table} where webhook_id = $1 limit ${rowsAtOnce}
           ) page
           where d.webhook_id = $1 and d.tableoid = page.tableoid and d.ctid = page.ctid`,
          [webhook_id],
        )
        isMore = rowCount === rowsAtOnce
      }
  }
}
