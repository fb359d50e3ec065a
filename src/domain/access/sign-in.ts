import type { ClaimMapping, ClaimRefusal, Claims } from './claims.ts'

/** The OpenID provider, and walhook's client there. */
export type SignInConfig = {
  readonly issuer: string
  readonly clientId: string
  /** Null: a public client, protected by PKCE only. */
  readonly clientSecret: string | null
  readonly scopes: string
  /** The provider's name on the log-in page. */
  readonly providerName: string
  /** The maximum length of a session. */
  readonly sessionMs: number
  readonly mapping: ClaimMapping
}

/**
 * Why a sign-in failed before its claims were mapped:
 *
 * - `unreachable`: the provider can't be reached, or answers too late
 * - `unusable`: its answer violates OpenID Connect, or is for another client
 * - `client`: it rejects walhook's client id or secret
 * - `clock`: it names a time in the past or future
 * - `unknown`: this browser has begun no such sign-in
 * - `refused`: the provider refuses the user
 * - `slow`: too many sign-ins from one network
 */
export const signInProblems = [
  'unreachable',
  'unusable',
  'client',
  'clock',
  'unknown',
  'expired',
  'used',
  'cancelled',
  'refused',
  'slow',
] as const
export type SignInProblem = ClaimRefusal | (typeof signInProblems)[number]

/** `reason` is for the log: it contains no code, token or secret. */
export type ProviderFailure = { readonly ok: false; readonly problem: SignInProblem; readonly reason: string }

/** The state of a sign-in, sealed in the browser until it comes back. */
export type PendingSignIn = {
  readonly state: string
  readonly nonce: string
  readonly verifier: string
  readonly redirectUri: string
}

export type Provider = {
  /** The provider's page to send the browser to; `isAgain`: the user may choose another account. */
  begin(
    pending: PendingSignIn,
    how: { readonly isAgain: boolean },
  ): Promise<{ readonly ok: true; readonly url: URL } | ProviderFailure>
  /** Redeems the query `search` of the browser's return. */
  finish(pending: PendingSignIn, search: string): Promise<Finished | ProviderFailure>
  /** Where a browser ends its session at the provider; null: unsupported, or the provider can't be asked. */
  logOutUrl(): Promise<URL | null>
}

type Finished = {
  readonly ok: true
  readonly claims: Claims & { readonly sub: string }
  readonly idToken: string
}

/** The latest end of the session that the provider sets, in ms since 1970, or null. */
export function sessionEndOf(claims: Claims): number | null {
  // https://openid.net/specs/openid-connect-enterprise-extensions-1_0.html
  const { session_expiry: expiry } = claims
  return typeof expiry === 'number' && Number.isFinite(expiry) ? expiry * 1000 : null
}

/** Reads the URL of an issuer; null if it is no URL, or http beyond this machine. */
export function parseIssuer(text: string): string | null {
  const url = URL.parse(text)
  if (!url || url.username || url.password || url.search || url.hash) return null
  return url.protocol === 'https:' || isThisMachine(url) ? text : null
}

/** http is for trials on one machine. */
export function isThisMachine({ protocol, hostname }: Pick<URL, 'protocol' | 'hostname'>): boolean {
  return protocol === 'http:' && /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/.test(hostname)
}
