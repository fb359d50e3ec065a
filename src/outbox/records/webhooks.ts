import type pg from 'pg'
import type { ShownCertificate } from '../../domain/webhook/client-certificate.ts'
import type { Batching, Webhook } from '../../domain/webhook/webhook.ts'
import type { Outbox } from '../database/database.ts'
import { fields } from '../database/fields.ts'
import { webhooksOf } from '../database/row-keys.ts'
import { moment, now } from '../database/statement.ts'
import { lockKey } from '../schema/in-schema.ts'

/** The columns of a webhook without its secrets. */
export const columns = `
id, tenant, name, url, is_active, triggers, alert_to, managed_by, previous, traceparent, update_fields, filter, filter_entering, filter_leaving, mode, log_bodies, batch_max_events, batch_max_wait_ms,
header_names, client_certificate, previous_secret_expires_at, disabled_at, disabled_reason, failing_since, failed_for_ms,
failed_at, next_try_at, held_until, version, created_at, updated_at`

export function toWebhook(row: pg.QueryResultRow): Webhook {
  const { batch_max_events, batch_max_wait_ms, failed_for_ms, failed_at, next_try_at, ...rest } = row
  const { client_certificate: certificate, previous_secret_expires_at: previousEndsAt } = row
  return {
    ...fields<Omit<Webhook, 'batch' | 'clientCertificate' | 'previousSecretExpiresAt' | 'failingTime'>>(rest),
    batch: toBatching(row),
    clientCertificate: certificate && {
      subject: certificate.subject,
      fingerprint: certificate.fingerprint,
      expiresAt: new Date(certificate.expires_at),
    },
    previousSecretExpiresAt: previousEndsAt?.getTime() > Date.now() ? previousEndsAt : null,
    failingTime: failed_at && {
      failedForMs: Number(failed_for_ms),
      failedAt: failed_at,
      nextTryAt: next_try_at,
    },
  }
}

/** The outbox, or a transaction. */
type Db = Pick<Outbox, 'pool'> | pg.PoolClient
const toQuery = (db: Db) => ('pool' in db ? db.pool : db)

/** Both columns are null together. */
export function toBatching(row: pg.QueryResultRow): Batching | null {
  const { batch_max_events: maxEvents, batch_max_wait_ms: maxWaitMs } = row
  return maxEvents === null || maxWaitMs === null ? null : { maxEvents, maxWaitMs }
}

export type WebhookInput = Pick<Webhook, 'name' | 'url' | 'isActive' | 'triggers'> & {
  readonly [Field in
    | 'previous'
    | 'traceparent'
    | 'updateFields'
    | 'filter'
    | 'filterEntering'
    | 'filterLeaving'
    | 'mode'
    | 'logBodies'
    | 'batch'
    | 'alertTo'
    | 'managedBy']?: Webhook[Field] | undefined
}

/** Custom headers: names, and the envelope of their values. */
export type SealedHeaders = { readonly names: readonly string[]; readonly envelope: string | null }

/** A client certificate: its public part, and the envelope with its key; null: none. */
export type SealedIdentity = { readonly shown: ShownCertificate; readonly envelope: string } | null

type Change = { [Field in keyof WebhookInput]?: WebhookInput[Field] | undefined } & {
  readonly sealedHeaders?: SealedHeaders | undefined
  readonly sealedIdentity?: SealedIdentity | undefined
}

/** The columns of the given fields; undefined ones are absent. */
function columnsOf({ batch, sealedHeaders, sealedIdentity, ...plain }: Change) {
  return {
    name: plain.name,
    url: plain.url,
    is_active: plain.isActive,
    triggers: plain.triggers,
    alert_to: plain.alertTo,
    managed_by: plain.managedBy,
    previous: plain.previous,
    traceparent: plain.traceparent,
    update_fields: plain.updateFields,
    filter: plain.filter,
    filter_entering: plain.filterEntering,
    filter_leaving: plain.filterLeaving,
    mode: plain.mode,
    log_bodies: plain.logBodies,
    ...(batch !== undefined && {
      batch_max_events: batch?.maxEvents ?? null,
      batch_max_wait_ms: batch?.maxWaitMs ?? null,
    }),
    headers: sealedHeaders?.envelope,
    header_names: sealedHeaders?.names,
    ...(sealedIdentity !== undefined && {
      client_identity: sealedIdentity?.envelope ?? null,
      client_certificate: sealedIdentity && JSON.stringify(certificateColumn(sealedIdentity.shown)),
    }),
  }
}

const certificateColumn = ({ subject, fingerprint, expiresAt }: ShownCertificate) => ({
  subject,
  fingerprint,
  expires_at: expiresAt.toISOString(),
})

const given = (columns: object) => Object.entries(columns).filter(([, value]) => value !== undefined)

/** `secret`: the envelope of the signing secret; `id`: from `nextWebhookId`, or absent for the next one. */
export async function insertWebhook(
  db: Db,
  {
    id,
    secret,
    tenant,
    ...input
  }: WebhookInput & {
    id?: number
    tenant?: string | null
    secret: string
    sealedHeaders?: SealedHeaders
    sealedIdentity?: SealedIdentity
  },
): Promise<Webhook> {
  const values = given({ id, tenant, secret, ...columnsOf(input) })
  const { rows } = await toQuery(db).query(
    `insert into walhook.webhooks (${values.map(([name]) => name)}) values (${values.map((_, i) => `$${i + 1}`)})
     returning ${columns}`,
    values.map(([, value]) => value),
  )
  return toWebhook(rows[0])
}

/** Webhooks in ascending order of id, at most `limit`, after the id `after`; of a tenant or all (null). */
export async function listWebhooks(
  { pool }: Outbox,
  page: { limit: number; after: number; tenant: string | null },
): Promise<Webhook[]> {
  const { rows } = await pool.query(
    `select ${columns} from walhook.webhooks where id > $1 ${page.tenant === null ? '' : 'and tenant = $3'}
     order by id limit $2`,
    [page.after, page.limit, ...(page.tenant === null ? [] : [page.tenant])],
  )
  return rows.map(toWebhook)
}

export async function lockWebhook(client: pg.PoolClient, id: number): Promise<Webhook | null> {
  return await findWebhook(client, id, 'for update')
}

/** Locks webhooks in ascending order of id, as settlements do. */
export async function lockWebhooks(client: pg.PoolClient, ids: readonly number[]): Promise<void> {
  await client.query('select 1 from walhook.webhooks where id = any($1) order by id for update', [ids])
}

export async function findWebhook(db: Db, id: number, lock: '' | 'for update' = ''): Promise<Webhook | null> {
  const { rows } = await toQuery(db).query(`select ${columns} from walhook.webhooks where id = $1 ${lock}`, [
    id,
  ])
  return rows[0] ? toWebhook(rows[0]) : null
}

/** A unique number of advisory locks: "walh", plus three. */
const applyLock = lockKey(0x77616c6b)

/** Locks out other applications of files. */
export async function lockApplies(client: pg.PoolClient): Promise<void> {
  await client.query(`select pg_advisory_xact_lock(${applyLock})`)
}

/** The first of these names that a webhook of the tenant has here, or null. */
export async function findNameTaken(
  db: Pick<pg.PoolClient, 'query'>,
  named: readonly { readonly name: string; readonly tenant: string | null }[],
): Promise<string | null> {
  if (named.length === 0) return null
  const { rows } = await db.query(
    `select w.name from walhook.webhooks w
     join unnest($1::text[], $2::text[]) as n (name, tenant) on w.name = n.name and w.tenant is not distinct from n.tenant`,
    [named.map(({ name }) => name), named.map(({ tenant }) => tenant)],
  )
  return rows[0]?.name ?? null
}

/** The names of these webhooks by id, without missing ones and other tenants' (null: any tenant). */
export async function webhookNames(
  { pool }: Outbox,
  ids: readonly number[],
  tenant: string | null,
): Promise<Map<number, string>> {
  const { rows } = await pool.query(
    'select id, name from walhook.webhooks where id = any($1) and ($2::text is null or tenant = $2)',
    [ids, tenant],
  )
  return new Map(rows.map(({ id, name }) => [id, name]))
}

/** Whether a change activates the webhook, or changes its URL ($2: the URL, $3: active). */
const isNew = `(url <> $2::text or ($3::boolean and (not is_active or disabled_at is not null))) is true`
const forgottenWhenNew = ['failing_since', 'failed_for_ms', 'failed_at', 'next_try_at', 'held_until']
const setAnyway = [
  ...forgottenWhenNew.map(column => `${column} = case when ${isNew} then null else ${column} end`),
  `activated_at = case when ${isNew} then ${now} else activated_at end`,
  'version = version + 1',
  'updated_at = now()',
]

/**
 * Changes the given fields. Activation also ends a disabling by walhook, and pending deliveries continue. An activation or a
 * new URL resets the health.
 */
export async function updateWebhook(db: Db, id: number, change: Change): Promise<Webhook | null> {
  const { url = null, isActive = false } = change
  const values = given({
    ...columnsOf(change),
    ...(isActive && { disabled_at: null, disabled_reason: null }),
  })
  const set = [...values.map(([name], i) => `${name} = $${i + 4}`), ...setAnyway]
  const { rows } = await toQuery(db).query(
    `with ${moment} update walhook.webhooks set ${set.join(', ')} where id = $1 returning ${columns}`,
    [id, url, isActive, ...values.map(([, value]) => value)],
  )
  return rows[0] ? toWebhook(rows[0]) : null
}

/**
 * Deletes a webhook with its positions; attempts stay until they expire. In a transaction that has stopped every holder, so
 * that none sets anything aside later. Returns whether it existed.
 */
export async function deleteWebhook(client: pg.PoolClient, id: number): Promise<boolean> {
  const { rowCount } = await client.query('delete from walhook.webhooks where id = $1', [id])
  await client.query('delete from walhook.streams where webhook_id = $1', [id])
  await client.query('delete from walhook.skips where webhook_id = $1', [id])
  return rowCount === 1
}

const rowsAtOnce = 10_000

/** Deletes the rows of deleted webhooks: nobody sends them. */
export async function deleteLeftovers(outbox: Pick<Outbox, 'pool'>): Promise<void> {
  for (const table of ['deliveries', 'batches', 'ended_deliveries']) {
    const { rows } = await outbox.pool.query(`
      with ${webhooksOf(table)}
      select webhook_id from w where not exists (select 1 from walhook.webhooks where id = w.webhook_id)`)
    for (const { webhook_id } of rows) await deleteRowsOf(outbox, table, webhook_id)
  }
}

export async function deleteRowsOf(
  { pool }: Pick<Outbox, 'pool'>,
  table: string,
  webhookId: number,
): Promise<void> {
  for (let isMore = true; isMore; ) {
    const { rowCount } = await pool.query(
      `delete from walhook.${table} d using (
         select tableoid, ctid from walhook.${table} where webhook_id = $1 limit ${rowsAtOnce}
       ) page
       where d.webhook_id = $1 and d.tableoid = page.tableoid and d.ctid = page.ctid`,
      [webhookId],
    )
    isMore = rowCount === rowsAtOnce
  }
}

/** Whether an active webhook has addresses for alerts. */
export async function hasRecipients({ pool }: Pick<Outbox, 'pool'>): Promise<boolean> {
  const { rows } = await pool.query(
    `select exists (select 1 from walhook.webhooks where alert_to <> '{}' and is_active) as has_any`,
  )
  return rows[0].has_any
}
