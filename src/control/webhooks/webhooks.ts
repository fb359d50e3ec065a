import { type Trigger, triggersFor } from '../../domain/event/trigger.ts'
import { because } from '../../domain/shown/reason.ts'
import {
  type ClientIdentity,
  judgeClientIdentity,
  type ShownCertificate,
} from '../../domain/webhook/client-certificate.ts'
import { changeHeaders, type HeaderChange, keepsHeaders } from '../../domain/webhook/custom-headers.ts'
import { isMailAddress, maskedAddress } from '../../domain/webhook/mail-address.ts'
import { nonceBytes } from '../../domain/webhook/seal.ts'
import type { Batching, LogBodies, Mode, Webhook } from '../../domain/webhook/webhook.ts'
import {
  type Headers,
  openHeaders,
  sealHeaders,
  sealIdentity,
  sealSecret,
} from '../../domain/webhook/webhook-secrets.ts'
import { dissolveBatches } from '../../outbox/aside/dissolve-batches.ts'
import { bringForward } from '../../outbox/aside/early-retries.ts'
import { transaction } from '../../outbox/database/database.ts'
import { lockAllHolders } from '../../outbox/database/fence.ts'
import { tellWake } from '../../outbox/log/wake.ts'
import { recordAudit } from '../../outbox/records/audit.ts'
import { endIncidents } from '../../outbox/records/incidents.ts'
import { findSealed, nextWebhookId } from '../../outbox/records/secrets.ts'
import * as webhooks from '../../outbox/records/webhooks.ts'
import type { Caller, Control } from '../kit/control.ts'
import { type FieldProblem, invalid, notFound, type Result, stale, wrongField } from '../kit/result.ts'
import { controlFor, tenantAsked } from '../kit/tenants.ts'
import { judgeFilter, judgeFilterForms, judgeUpdateFields } from './judge-fields.ts'
import { newSecret } from './secrets.ts'
import { judgeTenant } from './tenant.ts'

/** What an admin gives; the types are checked by who calls, the meaning here. */
export type WebhookFields = {
  /** Absent: the caller's own. Of a webhook that is there it may be repeated, and not changed. */
  readonly tenant?: string | null | undefined
  readonly name: string
  readonly url: string
  readonly isActive: boolean
  readonly triggers: readonly string[]
  readonly alertTo?: readonly string[] | undefined
  readonly previous?: boolean | undefined
  readonly updateFields?: readonly string[] | null | undefined
  readonly filter?: Webhook['filter'] | undefined
  readonly filterEntering?: Webhook['filterEntering'] | undefined
  readonly filterLeaving?: Webhook['filterLeaving'] | undefined
  readonly mode?: Mode | undefined
  readonly logBodies?: LogBodies | undefined
  readonly batch?: Batching | null | undefined
  readonly headers?: HeaderChange | undefined
  /** As PEM, both together; null for both: none. */
  readonly clientCertificate?: string | null | undefined
  readonly clientKey?: string | null | undefined
}

type FilterField = 'triggers' | 'filter' | 'filterEntering' | 'filterLeaving'
const noFilter = { filter: null, filterEntering: 'update', filterLeaving: 'nothing' } as const
/** What is given of the fields. */
const onlyGiven = (fields: object) =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined))

/** One page of a list, and the cursor of the next one, if there is more. */
export type Page<T, Cursor> = { readonly items: readonly T[]; readonly next: Cursor | null }

/** Creates a webhook. Its signing secret is in the result, and is shown this once. */
export async function createWebhook(
  control: Control,
  caller: Caller,
  fields: WebhookFields,
): Promise<Result<{ webhook: Webhook; secret: string }>> {
  const { headers: wantedHeaders = {}, clientCertificate, clientKey, tenant: wantedTenant, ...rest } = fields
  const of = judgeTenant(caller, wantedTenant)
  const client = judgeIdentity(clientCertificate, clientKey)
  const headers = changeHeaders([], {}, wantedHeaders)
  const judged = await judgeFields(of.tenant === null ? control : controlFor(control, of), fields)
  const forms = judgeFilterForms({ ...noFilter, ...onlyGiven(rest) } as Pick<Webhook, FilterField>)
  const problems = [
    ...of.problems,
    ...judged.problems,
    ...forms,
    ...headerProblems(headers),
    ...client.problems,
  ]
  if (problems.length > 0 || !headers.ok) return invalid(...problems)
  const { tenant } = of
  const secret = newSecret(control)
  const webhook = await transaction(control.outbox.pool, async db => {
    const id = await nextWebhookId(db)
    const made = await webhooks.insertWebhook(db, {
      ...normalized(rest, judged.url),
      id,
      tenant,
      secret: sealSecret(control.sealKey, id, secret, control.randomBytes(nonceBytes)),
      sealedHeaders: sealedHeaders(control, id, headers.headers),
      sealedIdentity: sealedIdentity(control, id, client) ?? null,
    })
    await recordAudit(db, caller, 'webhook.created', { webhookId: made.id, to: audited(made) })
    return made
  })
  return { ok: true, value: { webhook, secret } }
}

/** The caller's webhooks, or (`tenant`) one tenant's, by rising id, at most `limit`, those after the id `after` (0: from the first). */
export async function listWebhooks(
  control: Control,
  caller: Caller,
  page: { limit: number; after: number; tenant?: string | null | undefined },
): Promise<Page<Webhook, number>> {
  const tenant = tenantAsked(caller, page.tenant)
  const found = await webhooks.listWebhooks(control.outbox, { ...page, tenant, limit: page.limit + 1 })
  const items = found.slice(0, page.limit)
  return { items, next: found.length > page.limit ? items.at(-1)!.id : null }
}

export async function getWebhook(control: Control, id: number): Promise<Result<Webhook>> {
  const webhook = await webhooks.findWebhook(control.outbox, id)
  return webhook ? { ok: true, value: webhook } : notFound('webhook', id)
}

/**
 * Changes the fields that are given, or none of them. Activating a webhook also ends a disabling by walhook.
 * `isCurrent` says whether the webhook is still the one that the caller has seen; where it is not, nothing is changed.
 */
export async function changeWebhook(
  control: Control,
  caller: Caller,
  id: number,
  change: { readonly [Field in keyof WebhookFields]?: WebhookFields[Field] | undefined },
  isCurrent: (webhook: Webhook) => boolean = () => true,
): Promise<Result<Webhook>> {
  const { headers: headerChange, clientCertificate, clientKey, tenant: wantedTenant, ...rest } = change
  const client = judgeIdentity(clientCertificate, clientKey)
  const { problems, url } = await judgeFields(control, change)
  problems.push(...client.problems)
  if (problems.length > 0 && !headerChange) return invalid(...problems)
  let isBack = false
  const changed = await transaction<Result<Webhook>>(control.outbox.pool, async db => {
    // Its batches may be changed: that comes before the webhook's own lock.
    if (change.batch === null) await lockAllHolders(db)
    const before = await webhooks.lockWebhook(db, id)
    if (!before) return notFound('webhook', id)
    if (!isCurrent(before)) return stale('webhook', id)
    const isKept = url === undefined || keepsHeaders(before.url, url)
    const headers =
      headerChange || !isKept
        ? await changedHeaders(control, db, before, headerChange ?? {}, isKept)
        : { ok: true as const, sealedHeaders: undefined, changed: [] }
    const forms = judgeFilterForms({ ...before, ...onlyGiven(rest) } as Pick<Webhook, FilterField>)
    const isOther = wantedTenant !== undefined && wantedTenant !== before.tenant
    const kept = isOther ? [wrongField('/tenant', because('tenant.kept'))] : []
    const wrong = [...kept, ...problems, ...forms, ...headerProblems(headers)]
    if (wrong.length > 0 || !headers.ok) return invalid(...wrong)
    const { sealedHeaders, changed } = headers
    // As with headers: it was given for its receiver.
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
    if (isAnew(before, after)) await endIncidents(db, id, ['webhook.failing', 'webhook.disabled'])
    isBack = isLikelyBack(before, after)
    return { ok: true, value: after }
  })
  if (isBack && (await bringForward(control.outbox, id, control.earlyRetries)) > 0)
    await tellWake(control.outbox)
  return changed
}

/** As any reader of the audit may see it. */
const audited = (webhook: Webhook) => ({ ...webhook, alertTo: webhook.alertTo.map(maskedAddress) })

/** Whether what was wrong with a webhook is forgotten: it was activated again, or has another URL. */
const isAnew = (before: Webhook, after: Webhook) =>
  (before.failingSince !== null && after.failingSince === null) ||
  (before.disabledAt !== null && after.disabledAt === null)

/** Whether a person says that a receiver takes requests again: activates it, or gives it another URL. */
function isLikelyBack(before: Webhook, after: Webhook): boolean {
  const isSent = (webhook: Webhook) => webhook.isActive && webhook.disabledAt === null
  return isSent(after) && (!isSent(before) || before.url !== after.url)
}

/** Deletes a webhook and what waits for it. `isCurrent` as at a change. */
export async function deleteWebhook(
  control: Control,
  caller: Caller,
  id: number,
  isCurrent: (webhook: Webhook) => boolean = () => true,
): Promise<Result<null>> {
  const deleted = await transaction<Result<null>>(control.outbox.pool, async db => {
    await lockAllHolders(db)
    const before = await webhooks.lockWebhook(db, id)
    if (!before) return notFound('webhook', id)
    if (!isCurrent(before)) return stale('webhook', id)
    await webhooks.deleteWebhook(db, id)
    const { tenant } = before
    await recordAudit(db, caller, 'webhook.deleted', { webhookId: id, from: audited(before), tenant })
    return { ok: true, value: null }
  })
  if (deleted.ok) await webhooks.deleteLeftovers(control.outbox)
  return deleted
}

/**
 * The headers of a webhook with a change made to them, sealed; `changed` are those that had another value before. Where the
 * webhook goes elsewhere (not `isKept`), only the given ones remain.
 */
async function changedHeaders(
  control: Control,
  client: Parameters<typeof findSealed>[0],
  { id, headerNames }: Webhook,
  change: HeaderChange,
  isKept: boolean,
) {
  const opened = openHeaders(control.sealKey, id, (await findSealed(client, id))!.headers)
  const present = opened.ok ? opened.headers : null
  const result = changeHeaders(isKept ? headerNames : [], isKept ? present : {}, change)
  if (!result.ok) return result
  const { headers } = result
  const changed = headerNames.filter(name => name in headers && headers[name] !== present?.[name])
  return { ok: true as const, sealedHeaders: sealedHeaders(control, id, headers), changed }
}

function sealedHeaders(control: Control, id: number, headers: Headers): webhooks.SealedHeaders {
  const names = Object.keys(headers).sort()
  if (names.length === 0) return { names, envelope: null }
  return { names, envelope: sealHeaders(control.sealKey, id, headers, control.randomBytes(nonceBytes)) }
}

type GivenIdentity = {
  /** Undefined: nothing was given; null: none is wanted. */
  readonly identity?: (ClientIdentity & { readonly shown: ShownCertificate }) | null
  readonly problems: readonly FieldProblem[]
}

/** Certificate and key as they were given: both, or neither. */
export function judgeIdentity(
  certificate: string | null | undefined,
  key: string | null | undefined,
): GivenIdentity {
  if (certificate === undefined && key === undefined) return { problems: [] }
  if (!certificate && !key) return { identity: null, problems: [] }
  if (!certificate) return { problems: [wrongField('/client_certificate', because('certificate.missing'))] }
  if (!key) return { problems: [wrongField('/client_key', because('certificate.key_missing'))] }
  const judged = judgeClientIdentity({ certificate, key }, new Date())
  if (judged.ok) return { identity: { certificate, key, shown: judged.shown }, problems: [] }
  return {
    problems: judged.problems.map(({ field, reason }) => wrongField(`/client_${field}`, reason)),
  }
}

function sealedIdentity(
  { sealKey, randomBytes }: Control,
  id: number,
  { identity }: GivenIdentity,
): webhooks.SealedIdentity | undefined {
  if (!identity) return identity
  return { shown: identity.shown, envelope: sealIdentity(sealKey, id, identity, randomBytes(nonceBytes)) }
}

export function headerProblems(
  result: { readonly ok: true } | Extract<ReturnType<typeof changeHeaders>, { ok: false }>,
): FieldProblem[] {
  if (result.ok) return []
  return result.problems.map(({ name, reason }) =>
    wrongField(
      name === null ? '/headers' : `/headers/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`,
      reason,
    ),
  )
}

/** What is wrong with the fields, and the URL as it was judged: parsers differ in what they make of a text. */
async function judgeFields(
  control: Control,
  fields: { readonly [Field in keyof WebhookFields]?: WebhookFields[Field] | undefined },
): Promise<{ problems: FieldProblem[]; url?: string }> {
  const problems: FieldProblem[] = []
  const known = [...triggersFor(control.entityTypes), ...control.alerts]
  fields.alertTo?.forEach((address, i) => {
    if (!isMailAddress(address))
      problems.push(wrongField(`/alert_to/${i}`, because('webhook.mail_address', { address })))
  })
  fields.triggers?.forEach((trigger, i) => {
    if (!known.includes(trigger as Trigger))
      problems.push(wrongField(`/triggers/${i}`, because('webhook.trigger_unknown', { trigger, known })))
  })
  if (fields.updateFields || fields.filter) {
    const known = await control.readFields()
    problems.push(...judgeUpdateFields(known, fields.updateFields ?? []))
    problems.push(...judgeFilter(known, fields.filter ?? {}))
  }
  if (fields.url !== undefined) {
    const verdict = await control.judgeTarget(fields.url)
    if (verdict.ok) return { problems, url: verdict.url.href }
    problems.push(wrongField('/url', verdict.why))
  }
  return { problems }
}

/** Triggers and fields once each, and the URL as it was judged. */
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
