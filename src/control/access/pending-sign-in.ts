import { createHmac, timingSafeEqual } from 'node:crypto'
import { isOwnPath } from '../../domain/access/own-path.ts'
import type { PendingSignIn } from '../../domain/access/sign-in.ts'
import { minuteMs } from '../../domain/value/duration.ts'
import type { SealKey } from '../../domain/webhook/seal.ts'

/** Finding a password and a second factor takes minutes. */
export const pendingMs = 10 * minuteMs
const stateBytes = 24
/** A cookie must stay small. */
const longestPath = 500

/** The browser's copy: `id` names it, and begins the state. */
export type Kept = { readonly id: string; readonly text: string }

export const idOf = (state: string) => state.slice(0, 8)
export const isState = (text: string) => /^[\w-]{32}$/.test(text)

/**
 * Only the browser keeps a pending sign-in, with a MAC: state, redirect URI, target page and expiry. Nonce and verifier are
 * derived from the state and walhook's key.
 */
export function createPending({
  sealKey,
  randomBytes,
  nowMs,
}: {
  sealKey: SealKey
  randomBytes: (size: number) => Buffer
  nowMs: () => number
}) {
  const key = createHmac('sha256', sealKey.bytes).update('sign-in').digest()
  const mac = (purpose: string, text: string) =>
    createHmac('sha256', key).update(`${purpose} ${text}`).digest()
  const pendingOf = (state: string, redirectUri: string): PendingSignIn => ({
    ...{ state, redirectUri },
    nonce: mac('nonce', state).toString('base64url'),
    verifier: mac('verifier', state).toString('base64url'),
  })

  return {
    begin(redirectUri: string, to: string): { pending: PendingSignIn; kept: Kept } {
      const state = randomBytes(stateBytes).toString('base64url')
      const path = isOwnPath(to) && to.length <= longestPath ? to : '/'
      const facts = JSON.stringify([state, redirectUri, path, nowMs() + pendingMs])
      const body = Buffer.from(facts).toString('base64url')
      const text = `${body}.${mac('kept', body).toString('base64url')}`
      return { pending: pendingOf(state, redirectUri), kept: { id: idOf(state), text } }
    },

    /** Opens what the browser kept for the state that came back. */
    open(
      state: string,
      text: string | undefined,
      redirectUri: string,
    ): { ok: true; pending: PendingSignIn; to: string } | { ok: false; problem: 'unknown' | 'expired' } {
      const [body = '', found = ''] = text?.split('.') ?? []
      const given = Buffer.from(found, 'base64url')
      const right = mac('kept', body)
      if (given.length !== right.length || !timingSafeEqual(given, right))
        return { ok: false, problem: 'unknown' }
      const [itsState, itsUri, to, endsAtMs] = JSON.parse(Buffer.from(body, 'base64url').toString())
      if (itsState !== state || itsUri !== redirectUri) return { ok: false, problem: 'unknown' }
      return nowMs() > endsAtMs
        ? { ok: false, problem: 'expired' }
        : { ok: true, pending: pendingOf(state, redirectUri), to }
    },
  }
}
