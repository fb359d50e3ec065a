import { mergeSorted } from '../../domain/cells/merge-sorted.ts'
import type { Trigger } from '../../domain/event/trigger.ts'
import { because } from '../../domain/shown/reason.ts'
import { changeHeaders, keepsHeaders } from '../../domain/webhook/custom-headers.ts'
import { maskedAddress } from '../../domain/webhook/mail-address.ts'
import { nonceBytes } from '../../domain/webhook/seal.ts'
import type { Webhook } from '../../domain/webhook/webhook.ts'
import { sealSecret } from '../../domain/webhook/webhook-secrets.ts'
import { dissolveBatches } from '../../outbox/aside/dissolve-batches.ts'
import { bringForward } from '../../outbox/aside/early-retries.ts'
import type { Cell } from '../../outbox/cells/cells.ts'
import { transaction } from '../../outbox/database/database.ts'
import { lockAllHolders } from '../../outbox/database/fence.ts'
import { notifyWake } from '../../outbox/log/wake.ts'
import { recordAudit } from '../../outbox/records/audit.ts'
import { endIncidents } from '../../outbox/records/incidents.ts'
import { nextWebhookId } from '../../outbox/records/secrets.ts'
import * as webhooks from '../../outbox/records/webhooks.ts'
import { overCells } from '../kit/cells.ts'
import type { Caller, Control } from '../kit/control.ts'
import { firstOf, type Page } from '../kit/page.ts'
import { conflict, type Failed, invalid, notFound, type Result, stale, wrongField } from '../kit/result.ts'
import { controlFor, tenantAsked } from '../kit/tenants.ts'
import { noteRecipients } from './recipients.ts'
import { changedHeaders, newSecret, sealedHeaders, sealedIdentity } from './secrets.ts'
import { chooseTenant } from './tenant.ts'
import {
  headerProblems,
  type ValidatedFields,
  validateFields,
  validateFilterForms,
  validateIdentity,
  type WebhookFields,
} from './validate-fields.ts'

export type { WebhookFields }

type FilterField = 'triggers' | 'filter' | 'filterEntering' | 'filterLeaving'
const noFilter = { filter: null, filterEntering: 'update', filterLeaving: 'nothing' } as const
const onlyGiven = (fields: object) =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined))

type PoolClient = Parameters<typeof webhooks.lockWebhook>[0]

/** Differences inside a change of several webhooks. */
export type Within = {
  /** The transaction in the webhook's cell, whose owner does the work after the commit. */
  readonly db: PoolClient
  /** The id of a new webhook, which is noted in its cell. */
  readonly id: number | null
  /** Validated before the transaction. */
  readonly validated: ValidatedFields
}

const inTransaction = <T>(
  control: Pick<Control, 'outbox'>,
  within: Within | undefined,
  work: (db: PoolClient) => Promise<T>,
): Promise<T> => (within ? work(within.db) : transaction(control.outbox.pool, work))

/** Creates a webhook in the cell with the fewest. Its signing secret is in the result, once; `given`: one that the receiver has already. */
export async function createWebhook(
  control: Control,
  caller: Caller,
  fields: WebhookFields,
  { within, given }: { within?: Within; given?: string | undefined } = {},
): Promise<Result<{ webhook: Webhook; secret: string }>> {
  const { headers: wantedHeaders = {}, clientCertificate, clientKey, tenant: wantedTenant, ...rest } = fields
  const of = chooseTenant(caller, wantedTenant)
  const client = validateIdentity(clientCertificate, clientKey)
  const headers = changeHeaders([], {}, wantedHeaders)
  const validated =
    within?.validated ??
    (await validateFields(of.tenant === null ? control : controlFor(control, of), fields))
  const forms = validateFilterForms({ ...noFilter, ...onlyGiven(rest) } as Pick<Webhook, FilterField>)
  const problems = [
    ...of.problems,
    ...validated.problems,
    ...forms,
    ...headerProblems(headers),
    ...client.problems,
  ]
  if (problems.length > 0 || !headers.ok) return invalid(...problems)
  const { tenant } = of
  const secret = given ?? newSecret(control)
  const [cell = null] = within ? [] : await control.cells.emptiest(1)
  const id = cell ? await newIdIn(control, cell, tenant) : within!.id!
  const webhook = await inTransaction(cell ?? control, within, async db => {
    const made = await webhooks.insertWebhook(db, {
      ...normalized(rest, validated.url),
      id,
      tenant,
      secret: sealSecret(control.sealKey, id, secret, control.randomBytes(nonceBytes)),
      sealedHeaders: sealedHeaders(control, id, headers.headers),
      sealedIdentity: sealedIdentity(control, id, client) ?? null,
    })
    await recordAudit(db, caller, 'webhook.created', { webhookId: made.id, to: audited(made) })
    return made
  })
  if (!within) await noteRecipients(control, caller, [webhook])
  return { ok: true, value: { webhook, secret } }
}

/**
 * The id of a new webhook in a cell. It is noted before the webhook is stored, so that a webhook in a cell is always found; a
 * note without a webhook is harmless.
 */
export async function newIdIn(
  { cells }: Pick<Control, 'cells'>,
  cell: Cell,
  tenant: string | null,
): Promise<number> {
  const id = await nextWebhookId(cells.main.outbox.pool)
  if (cell.name !== cells.main.name) await cells.place({ id, tenant }, cell)
  return id
}

/**
 * The caller's webhooks, or one tenant's, in ascending order of id, at most `limit`, after the id `after` (0: from the
 * first).
 */
export async function listWebhooks(
  control: Control,
  caller: Caller,
  page: { limit: number; after: number; tenant?: string | null | undefined },
): Promise<Page<Webhook, number>> {
  const tenant = tenantAsked(caller, page.tenant)
  const { results, away } = await overCells(control, outbox =>
    webhooks.listWebhooks(outbox, { ...page, tenant, limit: page.limit + 1 }),
  )
  const lists = results.map(({ value }) => value)
  const found = mergeSorted(lists, (a, b) => a.id < b.id, page.limit + 1)
  return { ...firstOf(found, page.limit), away }
}

export async function getWebhook(control: Control, id: number): Promise<Result<Webhook>> {
  const webhook = await webhooks.findWebhook(control.outbox, id)
  return webhook ? { ok: true, value: webhook } : notFound('webhook', id)
}

/**
 * Changes the given fields, all or none. Activating a webhook also ends a disabling by walhook. `isCurrent`: whether the
 * webhook is the one that the caller saw; otherwise nothing changes.
 */
export async function changeWebhook(
  control: Control,
  caller: Caller,
  id: number,
  change: { readonly [Field in keyof WebhookFields]?: WebhookFields[Field] | undefined },
  isCurrent: (webhook: Webhook) => boolean = () => true,
  { within, isForced = false }: { within?: Within; isForced?: boolean } = {},
): Promise<Result<Webhook>> {
  const { headers: headerChange, clientCertificate, clientKey, tenant: wantedTenant, ...rest } = change
  const client = validateIdentity(clientCertificate, clientKey)
  const { url, ...validated } = within?.validated ?? (await validateFields(control, change))
  const problems = [...validated.problems, ...client.problems]
  if (problems.length > 0 && !headerChange) return invalid(...problems)
  let isBack = false
  const changed = await inTransaction<Result<Webhook>>(control, within, async db => {
    // A change of its batches needs the holders' locks, which come before the webhook's.
    if (change.batch === null) await lockAllHolders(db)
    const before = await webhooks.lockWebhook(db, id)
    if (!before) return notFound('webhook', id)
    if (!isCurrent(before)) return stale('webhook', id)
    const isByHand = !within && !isForced && change.managedBy === undefined
    if (isByHand && before.managedBy !== null) return managed(before.id, before.managedBy)
    const isKept = url === undefined || keepsHeaders(before.url, url)
    const headers =
      headerChange || !isKept
        ? await changedHeaders(control, db, before, headerChange ?? {}, isKept)
        : { ok: true as const, sealedHeaders: undefined, changed: [] }
    const forms = validateFilterForms({ ...before, ...onlyGiven(rest) } as Pick<Webhook, FilterField>)
    const isOther = wantedTenant !== undefined && wantedTenant !== before.tenant
    const kept = isOther ? [wrongField('/tenant', because('tenant.kept'))] : []
    const wrong = [...kept, ...problems, ...forms, ...headerProblems(headers)]
    if (wrong.length > 0 || !headers.ok) return invalid(...wrong)
    const { sealedHeaders, changed } = headers
    // As with headers: it was given for one receiver.
    const given = sealedIdentity(control, id, client)
    const identity = given === undefined && !isKept ? null : given
    const after = (await webhooks.updateWebhook(db, id, {
      ...normalized(rest, url),
      sealedHeaders,
      sealedIdentity: identity,
    }))!
    if (before.batch !== null && after.batch === null) await dissolveBatches(db, [id])
    const to = { ...audited(after), ...(changed.length > 0 && { headerValuesChanged: changed }) }
    await recordAudit(db, caller, 'webhook.changed', { webhookId: id, from: audited(before), to })
    if (isReset(before, after)) await endIncidents(db, [id], ['webhook.failing', 'webhook.disabled'])
    isBack = isLikelyBack(before, after)
    return { ok: true, value: after }
  })
  if (changed.ok && !within && change.alertTo) await noteRecipients(control, caller, [changed.value])
  if (isBack && !within && (await bringForward(control.outbox, id, control.earlyRetries)) > 0)
    await notifyWake(control.outbox)
  return changed
}

/** For any reader of the audit. */
const audited = (webhook: Webhook) => ({ ...webhook, alertTo: webhook.alertTo.map(maskedAddress) })

/** Whether its failures are forgotten: it was activated again, or has another URL. */
const isReset = (before: Webhook, after: Webhook) =>
  (before.failingSince !== null && after.failingSince === null) ||
  (before.disabledAt !== null && after.disabledAt === null)

/** Whether the change suggests that the receiver works again: activation, or another URL. */
export function isLikelyBack(before: Webhook, after: Webhook): boolean {
  const isSent = (webhook: Webhook) => webhook.isActive && webhook.disabledAt === null
  return isSent(after) && (!isSent(before) || before.url !== after.url)
}

/** A managed webhook changes in its file, or by `isForced`. */
const managed = (webhookId: number, source: string): Failed =>
  conflict(because('webhook.managed', { webhookId, source }))

/** Deletes a webhook and its pending deliveries. `isCurrent` as for a change. */
export async function deleteWebhook(
  control: Control,
  caller: Caller,
  id: number,
  isCurrent: (webhook: Webhook) => boolean = () => true,
  { within, isForced = false }: { within?: Within; isForced?: boolean } = {},
): Promise<Result<null>> {
  const deleted = await inTransaction<Result<null>>(control, within, async db => {
    await lockAllHolders(db)
    const before = await webhooks.lockWebhook(db, id)
    if (!before) return notFound('webhook', id)
    if (!isCurrent(before)) return stale('webhook', id)
    if (!within && !isForced && before.managedBy !== null) return managed(id, before.managedBy)
    await webhooks.deleteWebhook(db, id)
    const { tenant } = before
    await recordAudit(db, caller, 'webhook.deleted', { webhookId: id, from: audited(before), tenant })
    return { ok: true, value: null }
  })
  if (deleted.ok && !within) {
    await webhooks.deleteLeftovers(control.outbox)
    await control.cells.place({ id, tenant: caller.tenant }, control.cells.main)
  }
  return deleted
}

/** Triggers and fields once each, and the URL as it was checked. */
function normalized<T extends { readonly [Field in keyof WebhookFields]?: WebhookFields[Field] | undefined }>(
  fields: T,
  url: string | undefined,
) {
  return {
    ...fields,
    ...(url !== undefined && { url }),
    triggers: fields.triggers && ([...new Set(fields.triggers)] as Trigger[]),
    updateFields: fields.updateFields && [...new Set(fields.updateFields)],
    alertTo: fields.alertTo && [...new Set(fields.alertTo)],
  } as T & { triggers: Trigger[] }
}
