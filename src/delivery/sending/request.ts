import type { KeyObject } from 'node:crypto'
import { sign } from '../../domain/webhook/signature.ts'
import type { Headers } from '../../domain/webhook/webhook-secrets.ts'
import type { HttpRequest } from './attempt.ts'

/** The content for a receiver. `id` is the `webhook-id`, equal for each attempt; `body` the exact bytes. */
export type Message = { readonly id: string; readonly body: string }

/**
 * Builds the request of one attempt, signed with each of `secrets` at the time `nowMs`, since receivers refuse signatures
 * older than five minutes.
 * https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
 */
export function buildRequest(
  url: string,
  message: Message,
  options: {
    secrets: readonly (Uint8Array | KeyObject)[]
    nowMs: number
    userAgent: string
    /** An admin's custom headers. */
    headers?: Headers | undefined
    /** The request's span context, if the webhook wants it. */
    traceparent?: string | null
  },
): HttpRequest {
  const timestampS = Math.floor(options.nowMs / 1000)
  const headers = {
    'content-type': 'application/json',
    'content-length': String(Buffer.byteLength(message.body)),
    'user-agent': options.userAgent,
    'accept-encoding': 'identity',
    'webhook-id': message.id,
    'webhook-timestamp': String(timestampS),
    'webhook-signature': sign({ ...message, timestampS, secrets: options.secrets }),
    ...(options.traceparent && { traceparent: options.traceparent }),
  }
  return { url, body: message.body, headers: options.headers ? { ...options.headers, ...headers } : headers }
}
