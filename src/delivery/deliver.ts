import { createSecretKey, type KeyObject } from 'node:crypto'
import type { Attempt } from '../domain/attempt.ts'
import { type SealKey, signingSecretPurpose, unseal } from '../domain/seal.ts'
import { parseSecret } from '../domain/signature.ts'
import type { HttpResult, Sender } from './attempt.ts'
import { buildRequest } from './request.ts'

/** Where a message goes. `secret` is the sealed signing secret. */
export type Target = { readonly webhookId: number; readonly url: string; readonly secret: string }

/** What is sent, and as which attempt. */
export type Sendable = Pick<
  Attempt,
  'trigger' | 'eventId' | 'eventIds' | 'messageId' | 'entityType' | 'entityId' | 'actionType' | 'number'
> & { readonly body: string }

const maxKnownSecrets = 10_000

/**
 * Makes the one way in which anything is sent to a receiver, be it a delivery or a test: opens the secret,
 * signs, posts, and returns the attempt as the log keeps it. Never rejects.
 */
export function createDeliver(options: {
  post: Sender['post']
  sealKey: SealKey
  userAgent: string
  nowMs: () => number
}) {
  const known = new Map<string, KeyObject>()

  function openSecret(envelope: string): { ok: true; key: KeyObject } | { ok: false; reason: string } {
    const key = known.get(envelope)
    if (key) return { ok: true, key }
    const opened = unseal(options.sealKey, signingSecretPurpose, envelope)
    if (!opened.ok) return opened
    const secret = createSecretKey(parseSecret(opened.text))
    if (known.size >= maxKnownSecrets) known.clear()
    known.set(envelope, secret)
    return { ok: true, key: secret }
  }

  return async (target: Target, message: Sendable, signal: AbortSignal): Promise<Attempt> => {
    const { body, ...identity } = message
    const secret = openSecret(target.secret)
    const request = buildRequest(
      target.url,
      { id: message.messageId, body },
      { secrets: secret.ok ? [secret.key] : [], nowMs: options.nowMs(), userAgent: options.userAgent },
    )
    // Nothing is ever sent unsigned.
    const result = secret.ok
      ? await options.post(request, signal)
      : unsignable(secret.reason, options.nowMs())
    const { outcome, failure, ...facts } = result
    return {
      ...identity,
      ...facts,
      webhookId: target.webhookId,
      request: { url: target.url, headers: request.headers, body },
      outcome,
      errorClass: failure?.errorClass ?? null,
      errorMessage: failure?.message ?? null,
    }
  }
}

export type Deliver = ReturnType<typeof createDeliver>

function unsignable(reason: string, nowMs: number): HttpResult {
  return {
    outcome: 'blocked',
    failure: {
      errorClass: 'blocked_target',
      message: `Not sent, because the signing secret can't be read: ${reason}.`,
    },
    startedAt: new Date(nowMs),
    durationMs: 0,
    phases: {},
    remoteAddress: null,
    response: null,
  }
}
