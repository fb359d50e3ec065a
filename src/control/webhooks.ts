import { nearest } from '../domain/nearest.ts'
import { nonceBytes, seal, signingSecretPurpose, unseal } from '../domain/seal.ts'
import { formatSecret } from '../domain/signature.ts'
import { type Trigger, triggersFor } from '../domain/trigger.ts'
import type { Batching, Mode, Webhook } from '../domain/webhook.ts'
import { recordAudit } from '../outbox/audit.ts'
import { inTransaction } from '../outbox/database.ts'
import * as webhooks from '../outbox/webhooks.ts'
import type { Caller, Control } from './control.ts'
import { type FieldProblem, invalid, notFound, type Result, stale } from './result.ts'

/** What an admin gives; the types are checked by who calls, the meaning here. */
export type WebhookFields = {
  readonly name: string
  readonly url: string
  readonly isActive: boolean
  readonly triggers: readonly string[]
  readonly previous?: boolean | undefined
  readonly updateFields?: readonly string[] | null | undefined
  readonly mode?: Mode | undefined
  readonly batch?: Batching | null | undefined
}

/** One page of a list, and the cursor of the next one, if there is more. */
export type Page<T, Cursor> = { readonly items: readonly T[]; readonly next: Cursor | null }

const secretBytes = 32

/** Creates a webhook. Its signing secret is in the result, and is shown this once. */
export async function createWebhook(
  control: Control,
  caller: Caller,
  fields: WebhookFields,
): Promise<Result<{ webhook: Webhook; secret: string }>> {
  const problems = await judgeFields(control, fields)
  if (problems.length > 0) return invalid(...problems)
  const secret = formatSecret(control.randomBytes(secretBytes))
  const sealed = seal(control.sealKey, signingSecretPurpose, secret, control.randomBytes(nonceBytes))
  const webhook = await inTransaction(control.outbox, async tx => {
    const made = await webhooks.insertWebhook(tx, { ...normalized(fields), secret: sealed })
    await recordAudit(tx.client, caller, 'webhook.created', { webhookId: made.id, to: made })
    return made
  })
  return { ok: true, value: { webhook, secret } }
}

/** Webhooks by rising id, at most `limit`, those after the id `after` (0: from the first). */
export async function listWebhooks(
  control: Control,
  page: { limit: number; after: number },
): Promise<Page<Webhook, number>> {
  const found = await webhooks.listWebhooks(control.outbox, { limit: page.limit + 1, after: page.after })
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
  const problems = await judgeFields(control, change)
  if (problems.length > 0) return invalid(...problems)
  return await inTransaction(control.outbox, async tx => {
    const before = await webhooks.lockWebhook(tx, id)
    if (!before) return notFound('webhook', id)
    if (!isCurrent(before)) return stale('webhook', id)
    const after = (await webhooks.updateWebhook(tx, id, normalized(change)))!
    await recordAudit(tx.client, caller, 'webhook.changed', { webhookId: id, from: before, to: after })
    return { ok: true, value: after }
  })
}

/** Deletes a webhook and what waits for it. `isCurrent` as at a change. */
export async function deleteWebhook(
  control: Control,
  caller: Caller,
  id: number,
  isCurrent: (webhook: Webhook) => boolean = () => true,
): Promise<Result<null>> {
  return await inTransaction(control.outbox, async tx => {
    const before = await webhooks.lockWebhook(tx, id)
    if (!before) return notFound('webhook', id)
    if (!isCurrent(before)) return stale('webhook', id)
    await webhooks.deleteWebhook(tx.client, id)
    await recordAudit(tx.client, caller, 'webhook.deleted', { webhookId: id, from: before })
    return { ok: true, value: null }
  })
}

/** The signing secret of a webhook, in the form in which a receiver needs it. Throws where it can't be opened. */
export async function revealSecret(control: Control, id: number): Promise<Result<string>> {
  const sealed = await webhooks.findWebhookSecret(control.outbox, id)
  if (sealed === null) return notFound('webhook', id)
  const opened = unseal(control.sealKey, signingSecretPurpose, sealed)
  if (!opened.ok) throw new Error(`the signing secret of webhook ${id} can't be read: ${opened.reason}`)
  return { ok: true, value: opened.text }
}

async function judgeFields(
  control: Control,
  fields: { readonly [Field in keyof WebhookFields]?: WebhookFields[Field] | undefined },
): Promise<FieldProblem[]> {
  const problems: FieldProblem[] = []
  const known = triggersFor(control.entityTypes)
  fields.triggers?.forEach((trigger, i) => {
    if (!known.includes(trigger as Trigger))
      problems.push({
        pointer: `/triggers/${i}`,
        detail: `${JSON.stringify(trigger)} is not a trigger. There are: ${known.join(', ')}.`,
      })
  })
  if (fields.updateFields)
    problems.push(...judgeUpdateFields(await control.readFields(), fields.updateFields))
  if (fields.url !== undefined) {
    const verdict = await control.judgeTarget(fields.url)
    if (!verdict.ok) problems.push({ pointer: '/url', detail: verdict.reason })
  }
  return problems
}

/** Names as `user.email`, of fields that there are. */
function judgeUpdateFields(
  known: ReadonlyMap<string, readonly string[]>,
  wanted: readonly string[],
): FieldProblem[] {
  const names = [...known].flatMap(([entityType, fields]) => fields.map(field => `${entityType}.${field}`))
  return wanted.flatMap((name, i) => {
    if (names.includes(name)) return []
    const meant = nearest(name, names)
    const fields = known.get(name.split('.')[0]!)
    const mend = meant
      ? `Was ${meant} meant?`
      : fields
        ? `Its fields are ${fields.join(', ')}.`
        : `Write an entity type and a field, as in ${names[0] ?? 'user.email'}.`
    return [{ pointer: `/update_fields/${i}`, detail: `${JSON.stringify(name)} is not a field. ${mend}` }]
  })
}

/** Triggers and fields once each. */
function normalized<T extends { readonly [Field in keyof WebhookFields]?: WebhookFields[Field] | undefined }>(
  fields: T,
) {
  return {
    ...fields,
    triggers: fields.triggers && ([...new Set(fields.triggers)] as Trigger[]),
    updateFields: fields.updateFields && [...new Set(fields.updateFields)],
  } as T & { triggers: Trigger[] }
}
