import type { ClaimMapping, ClaimRefusal, Claims } from './claims.ts'

/** Where people sign in, and what walhook is there. */
export type SignInConfig = {
  readonly issuer: string
  readonly clientId: string
  /** Null: a client without a secret, for which PKCE stands in. */
  readonly clientSecret: string | null
  readonly scopes: string
  /** What the log-in page calls the provider. */
  readonly providerName: string
  /** The longest that a session lasts. */
  readonly sessionMs: number
  readonly mapping: ClaimMapping
}

/**
 * Why nobody was signed in, beside what their claims say:
 *
 * - `unreachable`: the provider can't be reached, or does not answer in time
 * - `unusable`: what it answers is not what OpenID Connect says, or is for somebody else
 * - `client`: it does not know walhook as a client, or not with this secret
 * - `clock`: it names a time that is past or to come
 * - `unknown`: this browser has begun no sign-in that this would be the end of
 * - `refused`: the provider does not let them in, for a reason of its own
 * - `slow`: too many come from one network
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

/** `reason` is for the log: it holds no code, token or secret. */
export type ProviderFailure = { readonly ok: false; readonly problem: SignInProblem; readonly reason: string }

/** What a sign-in is bound to: the browser keeps it, sealed, until it comes back. */
export type PendingSignIn = {
  readonly state: string
  readonly nonce: string
  readonly verifier: string
  readonly redirectUri: string
}

/** A provider of OpenID Connect. */
export type Provider = {
  /** The page of the provider to which a browser is sent; `isAgain`: where somebody may choose another account. */
  begin(
    pending: PendingSignIn,
    how: { readonly isAgain: boolean },
  ): Promise<{ readonly ok: true; readonly url: URL } | ProviderFailure>
  /** Redeems what the browser has brought back in `search`. */
  finish(pending: PendingSignIn, search: string): Promise<Finished | ProviderFailure>
  /** Where a browser ends its session at the provider; null where it offers none, or can't be asked. */
  logOutUrl(): Promise<URL | null>
}

export type Finished = {
  readonly ok: true
  readonly claims: Claims & { readonly sub: string }
  readonly idToken: string
}

/** When the provider says that a session must end at the latest, in ms since 1970; null: it says nothing. */
export function sessionEndOf(claims: Claims): number | null {
  // https://openid.net/specs/openid-connect-enterprise-extensions-1_0.html
  const { session_expiry: expiry } = claims
  return typeof expiry === 'number' && Number.isFinite(expiry) ? expiry * 1000 : null
}

/** Reads the URL of an issuer; null where it is none, or would be asked over a network without TLS. */
export function parseIssuer(text: string): string | null {
  const url = URL.parse(text)
  if (!url || url.username || url.password || url.search || url.hash) return null
  return url.protocol === 'https:' || isThisMachine(url) ? text : null
}

/** http is for tries on one machine. */
export function isThisMachine({ protocol, hostname }: Pick<URL, 'protocol' | 'hostname'>): boolean {
  return protocol === 'http:' && /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/.test(hostname)
}
