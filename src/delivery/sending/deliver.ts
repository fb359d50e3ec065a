import { createSecretKey, type KeyObject } from 'node:crypto'
import type { Attempt } from '../../domain/delivery/attempt.ts'
import { failureTexts } from '../../domain/failure/failure-texts.ts'
import type { ClientIdentity } from '../../domain/webhook/client-certificate.ts'
import { redactedHeaders, redactor } from '../../domain/webhook/custom-headers.ts'
import type { SealKey } from '../../domain/webhook/seal.ts'
import { parseSecret } from '../../domain/webhook/signature.ts'
import {
  type Headers,
  openHeaders,
  openIdentity,
  openSecret,
  type Sealed,
} from '../../domain/webhook/webhook-secrets.ts'
import type { HttpResult, Sender } from './attempt.ts'
import { buildRequest } from './request.ts'

/** The receiver of a message. */
export type Target = {
  readonly webhookId: number
  readonly url: string
  readonly sealed: Sealed
  /** Whether the request has the header `traceparent`. */
  readonly traceparent?: boolean
}

/** The content of a request, and its attempt. */
export type Sendable = Pick<
  Attempt,
  'trigger' | 'eventId' | 'eventIds' | 'messageId' | 'entityType' | 'entityId' | 'actionType' | 'number'
> & { readonly body: string }

/** Adds requests to the traces of their events. */
export type TraceRequests = {
  begin(message: Omit<Sendable, 'body'>): { readonly spanId: string; readonly header: string }
  ended(attempt: Attempt): void
}

/** More webhooks than a process serves: with one beyond it, each request would decrypt again, which takes as long as sending. */
const maxKnown = 100_000

/** A webhook's decrypted secrets. */
type Unsealed = {
  /** The signing keys: the secret and, while valid, the one before. */
  readonly keys: readonly KeyObject[]
  readonly identity: ClientIdentity | null
  readonly custom: { readonly headers: Headers; readonly shown: Headers; redact(text: string): string } | null
}

/**
 * Creates the only way to send anything to a receiver, delivery or test: decrypts, signs, posts, and returns the attempt for
 * the log. `mayBegin` is asked before the first byte. Never rejects.
 */
export function createDeliver(options: {
  post: Sender['post']
  sealKey: SealKey
  userAgent: string
  nowMs: () => number
  /** Null or absent: no tracing. */
  trace?: TraceRequests | null
}) {
  // By webhook, since an envelope of one must not be used for another.
  const known = new Map<number, { sealed: Sealed; unsealed: Unsealed }>()

  function open({ webhookId, sealed }: Target): { ok: true; unsealed: Unsealed } | Failed {
    const found = known.get(webhookId)
    if (found && isSame(found.sealed, sealed)) return { ok: true, unsealed: found.unsealed }
    const opened = unsealAll(options.sealKey, webhookId, sealed)
    if (!opened.ok) return opened
    if (known.size >= maxKnown) known.clear()
    known.set(webhookId, { sealed, unsealed: opened.unsealed })
    return opened
  }

  return async (
    target: Target,
    message: Sendable,
    signal: AbortSignal,
    mayBegin?: () => boolean,
  ): Promise<Attempt> => {
    const { body } = message
    const span = options.trace ? options.trace.begin(message) : null
    const opened = open(target)
    const { keys, custom, identity: client } = opened.ok ? opened.unsealed : nothing
    const request = buildRequest(
      target.url,
      { id: message.messageId, body },
      {
        secrets: keys,
        nowMs: options.nowMs(),
        userAgent: options.userAgent,
        headers: custom?.headers,
        traceparent: target.traceparent && span ? span.header : null,
      },
    )
    // Nothing is sent unsigned, or without one of its headers.
    const result = opened.ok
      ? await options.post(client ? { ...request, identity: client } : request, signal, mayBegin)
      : unsendable(opened.reason, options.nowMs())
    const redacted = custom ? redactedResult(result, custom.redact) : result
    const { failure } = redacted
    // Field by field: a spread of each costs more than signing.
    const attempt: Attempt = {
      webhookId: target.webhookId,
      trigger: message.trigger,
      eventId: message.eventId,
      eventIds: message.eventIds,
      messageId: message.messageId,
      entityType: message.entityType,
      entityId: message.entityId,
      actionType: message.actionType,
      number: message.number,
      request: {
        url: target.url,
        headers: custom ? { ...request.headers, ...custom.shown } : request.headers,
        body,
      },
      startedAt: redacted.startedAt,
      durationMs: redacted.durationMs,
      phases: redacted.phases,
      remoteAddress: redacted.remoteAddress,
      response: redacted.response,
      outcome: redacted.outcome,
      errorClass: failure?.errorClass ?? null,
      errorMessage: failure?.message ?? null,
      ...(failure?.isOurs && { isOurs: true }),
      ...(span && { spanId: span.spanId }),
    }
    if (span) options.trace?.ended(attempt)
    return attempt
  }
}

export type Deliver = ReturnType<typeof createDeliver>

type Failed = { readonly ok: false; readonly reason: string }

const nothing: Unsealed = { keys: [], custom: null, identity: null }

function isSame(a: Sealed, b: Sealed): boolean {
  return (
    a.secret === b.secret &&
    a.previousSecret === b.previousSecret &&
    a.headers === b.headers &&
    a.identity === b.identity
  )
}

function unsealAll(
  sealKey: SealKey,
  webhookId: number,
  sealed: Sealed,
): { ok: true; unsealed: Unsealed } | Failed {
  const keys: KeyObject[] = []
  for (const envelope of [sealed.secret, sealed.previousSecret]) {
    if (envelope === null) continue
    const opened = openSecret(sealKey, webhookId, envelope)
    if (!opened.ok) return { ok: false, reason: failureTexts['unsent.secret']({ why: opened.reason }) }
    keys.push(createSecretKey(parseSecret(opened.text)))
  }
  const opened = openHeaders(sealKey, webhookId, sealed.headers)
  if (!opened.ok) return { ok: false, reason: failureTexts['unsent.headers']({ why: opened.reason }) }
  const client = openIdentity(sealKey, webhookId, sealed.identity)
  if (!client.ok) return { ok: false, reason: failureTexts['unsent.certificate']({ why: client.reason }) }
  const { identity } = client
  const { headers } = opened
  const names = Object.keys(headers)
  if (names.length === 0) return { ok: true, unsealed: { keys, identity, custom: null } }
  return {
    ok: true,
    unsealed: {
      keys,
      identity,
      custom: { headers, shown: redactedHeaders(names), redact: redactor(headers) },
    },
  }
}

/** A receiver may repeat what it was sent. */
function redactedResult(result: HttpResult, redact: (text: string) => string): HttpResult {
  const { response, failure } = result
  return {
    ...result,
    ...(failure && { failure: { ...failure, message: redact(failure.message) } }),
    response: response && {
      ...response,
      body: redact(response.body),
      headers: Object.fromEntries(
        Object.entries(response.headers).map(([name, value]) => [name, redact(value)]),
      ),
    },
  } as HttpResult
}

function unsendable(reason: string, nowMs: number): HttpResult {
  return {
    outcome: 'blocked',
    failure: { errorClass: 'blocked_target', message: reason },
    startedAt: new Date(nowMs),
    durationMs: 0,
    phases: {},
    remoteAddress: null,
    response: null,
  }
}
