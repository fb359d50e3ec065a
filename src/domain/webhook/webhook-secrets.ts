import type { ClientIdentity } from './client-certificate.ts'
import { keyIdOf, type Opened, type SealKey, seal, unseal } from './seal.ts'

/** The encrypted settings of a webhook, as envelopes. */
export type Sealed = {
  readonly secret: string
  /** Signs beside `secret` after a rotation; null: none, or expired. */
  readonly previousSecret: string | null
  /** A JSON object of custom headers; null: none. */
  readonly headers: string | null
  /** A JSON object of a certificate and its key for mutual TLS; null: none. */
  readonly identity?: string | null
}

/** Names in lower case, with their values. */
export type Headers = Readonly<Record<string, string>>

/** The purpose of envelopes from before they were bound to their webhook; `walhook rekey` binds them. */
export const unboundPurpose = 'walhook signing secret'
const secretPurpose = (webhookId: number) => `walhook signing secret of webhook ${webhookId}`
const identityPurpose = (webhookId: number) => `walhook client certificate of webhook ${webhookId}`
const headersPurpose = (webhookId: number) => `walhook headers of webhook ${webhookId}`

/** `nonce` as for `seal`. The envelope opens for this webhook only. */
export function sealSecret(key: SealKey, webhookId: number, secret: string, nonce: Uint8Array): string {
  return seal(key, secretPurpose(webhookId), secret, nonce)
}

/** Opens a signing secret, the present or the previous one. */
export function openSecret(key: SealKey, webhookId: number, envelope: string): Opened {
  const opened = unseal(key, secretPurpose(webhookId), envelope)
  if (opened.ok) return opened
  const unbound = unseal(key, unboundPurpose, envelope)
  return unbound.ok ? unbound : opened
}

export function sealHeaders(key: SealKey, webhookId: number, headers: Headers, nonce: Uint8Array): string {
  return seal(key, headersPurpose(webhookId), JSON.stringify(headers), nonce)
}

/** Opens custom headers; without an envelope there are none. */
export function openHeaders(
  key: SealKey,
  webhookId: number,
  envelope: string | null,
): { readonly ok: true; readonly headers: Headers } | { readonly ok: false; readonly reason: string } {
  if (envelope === null) return { ok: true, headers: {} }
  const opened = unseal(key, headersPurpose(webhookId), envelope)
  return opened.ok ? { ok: true, headers: JSON.parse(opened.text) } : opened
}

export function sealIdentity(
  key: SealKey,
  webhookId: number,
  { certificate, key: privateKey }: ClientIdentity,
  nonce: Uint8Array,
): string {
  return seal(key, identityPurpose(webhookId), JSON.stringify({ certificate, key: privateKey }), nonce)
}

/** Opens a certificate with its key; without an envelope there is none. */
export function openIdentity(
  key: SealKey,
  webhookId: number,
  envelope: string | null | undefined,
):
  | { readonly ok: true; readonly identity: ClientIdentity | null }
  | { readonly ok: false; readonly reason: string } {
  if (!envelope) return { ok: true, identity: null }
  const opened = unseal(key, identityPurpose(webhookId), envelope)
  return opened.ok ? { ok: true, identity: JSON.parse(opened.text) } : opened
}

/**
 * The envelopes sealed with the present key for this webhook: the same object if they already are, null if one can't be
 * opened.
 */
export function reseal(
  key: SealKey,
  webhookId: number,
  sealed: Sealed,
  newNonce: () => Uint8Array,
): Sealed | null {
  function again(envelope: string, purpose: string): string | null {
    const opened = unseal(key, purpose, envelope)
    if (opened.ok && keyIdOf(envelope) === key.id) return envelope
    const found =
      opened.ok || purpose !== secretPurpose(webhookId) ? opened : unseal(key, unboundPurpose, envelope)
    return found.ok ? seal(key, purpose, found.text, newNonce()) : null
  }
  const secret = again(sealed.secret, secretPurpose(webhookId))
  const previousSecret = sealed.previousSecret && again(sealed.previousSecret, secretPurpose(webhookId))
  const headers = sealed.headers && again(sealed.headers, headersPurpose(webhookId))
  const identity = sealed.identity && again(sealed.identity, identityPurpose(webhookId))
  if (
    secret === null ||
    (sealed.previousSecret && !previousSecret) ||
    (sealed.headers && !headers) ||
    (sealed.identity && !identity)
  )
    return null
  const isSame =
    secret === sealed.secret &&
    previousSecret === sealed.previousSecret &&
    headers === sealed.headers &&
    identity === sealed.identity
  return isSame ? sealed : { secret, previousSecret, headers, ...(identity && { identity }) }
}
