import { because } from '../../domain/shown/reason.ts'
import { changeHeaders, type HeaderChange } from '../../domain/webhook/custom-headers.ts'
import { nonceBytes, unseal } from '../../domain/webhook/seal.ts'
import { formatSecret } from '../../domain/webhook/signature.ts'
import type { Webhook } from '../../domain/webhook/webhook.ts'
import {
  type Headers,
  openHeaders,
  openSecret,
  reseal,
  type Sealed,
  sealHeaders,
  sealIdentity,
  sealSecret,
} from '../../domain/webhook/webhook-secrets.ts'
import { transaction } from '../../outbox/database/database.ts'
import { recordAudit } from '../../outbox/records/audit.ts'
import { lockResponsesOfOtherKeys, replaceResponse } from '../../outbox/records/idempotency.ts'
import * as secrets from '../../outbox/records/secrets.ts'
import {
  findWebhook,
  lockWebhook,
  type SealedHeaders,
  type SealedIdentity,
} from '../../outbox/records/webhooks.ts'
import type { Caller, Control } from '../kit/control.ts'
import { responsePurpose, sealResponse } from '../kit/once.ts'
import { conflict, notFound, type Result } from '../kit/result.ts'
import type { GivenIdentity } from './validate-fields.ts'

const secretBytes = 32

export function newSecret(control: Pick<Control, 'randomBytes'>): string {
  return formatSecret(control.randomBytes(secretBytes))
}

/** A webhook's signing secret, as the receiver needs it. The audit records that it was shown. */
export async function revealSecret(control: Control, caller: Caller, id: number): Promise<Result<string>> {
  return await transaction(control.outbox.pool, async client => {
    const sealed = await secrets.findSealed(client, id)
    if (!sealed) return notFound('webhook', id)
    const opened = openSecret(control.sealKey, id, sealed.secret)
    if (!opened.ok)
      return conflict(because('webhook.secret_unreadable', { webhookId: id, why: opened.reason }))
    await recordAudit(client, caller, 'webhook.secret_shown', { webhookId: id })
    return { ok: true, value: opened.text }
  })
}

/**
 * Gives a webhook a new signing secret, which the result contains. For `overlapHours` (0: none) the old one signs too; an
 * earlier overlap ends now. An unreadable secret is replaced without overlap.
 */
export async function rotateSecret(
  control: Control,
  caller: Caller,
  id: number,
  overlapHours: number,
): Promise<Result<{ webhook: Webhook; secret: string }>> {
  return await transaction(control.outbox.pool, async client => {
    const before = await lockWebhook(client, id)
    const sealed = before && (await secrets.findSealed(client, id))
    if (!before || !sealed) return notFound('webhook', id)
    const secret = newSecret(control)
    const isKept = overlapHours > 0 && openSecret(control.sealKey, id, sealed.secret).ok
    await secrets.setSecret(client, id, {
      secret: sealSecret(control.sealKey, id, secret, control.randomBytes(nonceBytes)),
      previousSecret: isKept ? sealed.secret : null,
      overlapHours,
    })
    const webhook = (await findWebhook(client, id))!
    await recordAudit(client, caller, 'webhook.secret_rotated', {
      webhookId: id,
      from: before,
      to: webhook,
    })
    return { ok: true, value: { webhook, secret } }
  })
}

/** The overlap with a given secret: its receiver gets it by another way, at another moment. */
const givenOverlapHours = 24

/** Sets a secret that the receiver has already, in a transaction that locked the webhook. */
export async function setGivenSecret(
  control: Pick<Control, 'sealKey' | 'randomBytes'>,
  caller: Caller,
  client: Parameters<typeof lockWebhook>[0],
  before: Webhook,
  secret: string,
): Promise<void> {
  const { id } = before
  const sealed = (await secrets.findSealed(client, id))!
  const isKept = openSecret(control.sealKey, id, sealed.secret).ok
  await secrets.setSecret(client, id, {
    secret: sealSecret(control.sealKey, id, secret, control.randomBytes(nonceBytes)),
    previousSecret: isKept ? sealed.secret : null,
    overlapHours: givenOverlapHours,
  })
  const webhook = (await findWebhook(client, id))!
  await recordAudit(client, caller, 'webhook.secret_rotated', { webhookId: id, from: before, to: webhook })
}

type Unreadable = { readonly id: number; readonly name: string }

/**
 * Re-seals everything sealed with another key, in one transaction: secrets and headers of webhooks, and stored answers.
 * Changes nothing if a webhook's envelope opens with neither key. Repeatable, also while walhook runs.
 */
export async function rekey(
  control: Pick<Control, 'outbox' | 'sealKey' | 'randomBytes'>,
  caller: Caller,
): Promise<
  | { readonly ok: true; readonly webhooks: number; readonly answers: number }
  | { readonly ok: false; readonly unreadable: readonly Unreadable[] }
> {
  const { sealKey } = control
  const newNonce = () => control.randomBytes(nonceBytes)
  return await transaction(control.outbox.pool, async client => {
    const unreadable: Unreadable[] = []
    const changed: { id: number; sealed: Sealed }[] = []
    for (const { id, name, sealed } of await secrets.lockAllSealed(client)) {
      const renewed = reseal(sealKey, id, sealed, newNonce)
      if (!renewed) unreadable.push({ id, name })
      else if (renewed !== sealed) changed.push({ id, sealed: renewed })
    }
    if (unreadable.length > 0) return { ok: false, unreadable }
    for (const { id, sealed } of changed) await secrets.replaceSealed(client, id, sealed)

    let answers = 0
    for (const { key, answer } of await lockResponsesOfOtherKeys(client, sealKey.id)) {
      const opened = unseal(sealKey, responsePurpose(key), answer)
      // Its key is lost: a repetition of the call gets a conflict, and the answer expires after a day.
      if (!opened.ok) continue
      await replaceResponse(client, key, sealResponse(control, key, opened.text))
      answers++
    }
    if (changed.length + answers > 0)
      await recordAudit(client, caller, 'secrets.rekeyed', { to: { webhooks: changed.length, answers } })
    return { ok: true, webhooks: changed.length, answers }
  })
}

/**
 * A webhook's changed headers, sealed; `changed`: those with another value. At another receiver (not `isKept`), only the
 * given ones remain.
 */
export async function changedHeaders(
  control: Control,
  client: Parameters<typeof secrets.findSealed>[0],
  { id, headerNames }: Webhook,
  change: HeaderChange,
  isKept: boolean,
) {
  const opened = openHeaders(control.sealKey, id, (await secrets.findSealed(client, id))!.headers)
  const present = opened.ok ? opened.headers : null
  const result = changeHeaders(isKept ? headerNames : [], isKept ? present : {}, change)
  if (!result.ok) return result
  const { headers } = result
  const changed = headerNames.filter(name => name in headers && headers[name] !== present?.[name])
  return { ok: true as const, sealedHeaders: sealedHeaders(control, id, headers), changed }
}

export function sealedHeaders(control: Control, id: number, headers: Headers): SealedHeaders {
  const names = Object.keys(headers).sort()
  if (names.length === 0) return { names, envelope: null }
  return { names, envelope: sealHeaders(control.sealKey, id, headers, control.randomBytes(nonceBytes)) }
}

export function sealedIdentity(
  { sealKey, randomBytes }: Control,
  id: number,
  { identity }: GivenIdentity,
): SealedIdentity | undefined {
  if (!identity) return identity
  return { shown: identity.shown, envelope: sealIdentity(sealKey, id, identity, randomBytes(nonceBytes)) }
}
