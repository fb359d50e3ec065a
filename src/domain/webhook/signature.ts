import { createHmac, type KeyObject } from 'node:crypto'

const prefix = 'whsec_'

/** Formats the bytes of a signing secret as `whsec_` and standard padded base64. */
export function formatSecret(bytes: Uint8Array): string {
  return prefix + Buffer.from(bytes).toString('base64')
}

/** Parses a secret of `formatSecret`. Throws a RangeError, which never repeats the text, on any other. */
export function parseSecret(text: string): Buffer {
  const encoded = text.slice(prefix.length)
  const bytes = Buffer.from(encoded, 'base64')
  if (!text.startsWith(prefix) || bytes.length < 16 || bytes.toString('base64') !== encoded)
    throw new RangeError('not a signing secret: it is whsec_ followed by padded base64 of at least 16 bytes')
  return bytes
}

/**
 * The header `webhook-signature`: one `v1,` signature per secret, separated by spaces, so that an old and a new secret are
 * valid together. `timestampS` is in unix seconds.
 * https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
 */
export function sign(message: {
  id: string
  timestampS: number
  body: string
  /** Bytes, or a key made of them once: making the key costs five times the signing. */
  secrets: readonly (Uint8Array | KeyObject)[]
}): string {
  const head = `${message.id}.${message.timestampS}.`
  return message.secrets
    .map(secret => `v1,${createHmac('sha256', secret).update(head).update(message.body).digest('base64')}`)
    .join(' ')
}
