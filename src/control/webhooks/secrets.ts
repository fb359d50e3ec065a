import { because } from '../../domain/shown/reason.ts'
import { nonceBytes, unseal } from '../../domain/webhook/seal.ts'
import { formatSecret } from '../../domain/webhook/signature.ts'
import type { Webhook } from '../../domain/webhook/webhook.ts'
import { openSecret, reseal, type Sealed, sealSecret } from '../../domain/webhook/webhook-secrets.ts'
import { transaction } from '../../outbox/database/database.ts'
import { recordAudit } from '../../outbox/records/audit.ts'
import { lockAnswersOfOtherKeys, replaceAnswer } from '../../outbox/records/idempotency.ts'
import * as secrets from '../../outbox/records/secrets.ts'
import { findWebhook, lockWebhook } from '../../outbox/records/webhooks.ts'
import type { Caller, Control } from '../kit/control.ts'
import { answerPurpose, sealAnswer } from '../kit/once.ts'
import { conflict, notFound, type Result } from '../kit/result.ts'

const secretBytes = 32

export function newSecret(control: Pick<Control, 'randomBytes'>): string {
  return formatSecret(control.randomBytes(secretBytes))
}

/** The signing secret of a webhook, in the form in which a receiver needs it. That it was shown is recorded. */
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
 * Gives a webhook a new signing secret, which is in the result. For `overlapHours` (0: not at all) the one before
 * signs beside it; one that still did so ends now. A secret that can't be read any more is replaced without overlap.
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

/** For so long the secret before one that was given signs too: the receiver gets it from elsewhere, and not at the same moment. */
const givenOverlapHours = 24

/** Gives a webhook a secret that its receiver has already, within a transaction that has locked it. */
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
 * Re-seals everything that another key sealed, in one transaction: secrets and headers of webhooks,
 * and the answers that are kept for repeated calls. Nothing is changed where a webhook's can't be opened with the
 * present or the older key. May be done any number of times, while walhook runs.
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
      const anew = reseal(sealKey, id, sealed, newNonce)
      if (!anew) unreadable.push({ id, name })
      else if (anew !== sealed) changed.push({ id, sealed: anew })
    }
    if (unreadable.length > 0) return { ok: false, unreadable }
    for (const { id, sealed } of changed) await secrets.replaceSealed(client, id, sealed)

    let answers = 0
    for (const { key, answer } of await lockAnswersOfOtherKeys(client, sealKey.id)) {
      const opened = unseal(sealKey, answerPurpose(key), answer)
      // Its key is lost: a repetition of the call gets a conflict, and the answer expires after a day.
      if (!opened.ok) continue
      await replaceAnswer(client, key, sealAnswer(control, key, opened.text))
      answers++
    }
    if (changed.length + answers > 0)
      await recordAudit(client, caller, 'secrets.rekeyed', { to: { webhooks: changed.length, answers } })
    return { ok: true, webhooks: changed.length, answers }
  })
}
