import { createHmac } from 'node:crypto'
import { mapClaims } from '../../domain/access/claims.ts'
import { type Bucket, type RatePolicy, take } from '../../domain/access/rate.ts'
import {
  type Provider,
  type SignInConfig,
  type SignInProblem,
  sessionEndOf,
} from '../../domain/access/sign-in.ts'
import { networkOf } from '../../domain/value/back-off.ts'
import type { SealKey } from '../../domain/webhook/seal.ts'
import { useSignIn } from '../../outbox/records/sign-ins.ts'
import type { Caller, Control } from '../kit/control.ts'
import { hashOf } from './credentials.ts'
import { createPending, idOf, isState, type Kept, pendingMs } from './pending-sign-in.ts'
import type { Sessions } from './sessions.ts'

/** Per network: each sign-in is a request to the provider. */
const finishRate: RatePolicy = { quota: 30, windowS: 60 }
const maxNetworks = 10_000

export type SignInFailure = {
  readonly ok: false
  readonly problem: SignInProblem
  /** The user's name at the provider, if known. */
  readonly name: string | null
}

type Begun =
  | { readonly ok: true; readonly url: URL; readonly kept: Kept; readonly keptMs: number }
  | SignInFailure

type SignedIn =
  | {
      readonly ok: true
      readonly caller: Caller
      readonly session: string
      readonly expiresAt: Date
      /** The page to open. */
      readonly to: string
    }
  | SignInFailure

export type SignIn = ReturnType<typeof createSignIn>

/** Identifies the provider and the mapping of claims: sessions of another one have ended. */
export function providerMacOf(sealKey: SealKey, config: SignInConfig | undefined): Buffer | null {
  if (config === undefined) return null
  const { issuer, clientId, mapping } = config
  const { roles, allTenants, ...claims } = mapping
  const identity = JSON.stringify([issuer, clientId, [...roles].sort(), [...allTenants].sort(), claims])
  return createHmac('sha256', sealKey.bytes).update('provider ').update(identity).digest()
}

/** Signs users in at an OpenID provider, by an authorization code with PKCE. */
export function createSignIn(options: {
  control: Pick<Control, 'outbox' | 'sealKey' | 'randomBytes'>
  sessions: Pick<Sessions, 'signedIn' | 'refused'>
  provider: Provider
  config: SignInConfig
  nowMs: () => number
  /** Called for each failure; `reason` contains no secret. */
  onFailure: (facts: { problem: SignInProblem; reason?: string; address: string }) => void
}) {
  const { control, sessions, provider, config, nowMs, onFailure } = options
  const pending = createPending({ ...control, nowMs })
  const networks = new Map<string, Bucket>()

  function fail(problem: SignInProblem, address: string, reason?: string): SignInFailure {
    onFailure({ problem, ...(reason !== undefined && { reason }), address })
    return { ok: false, problem, name: null }
  }

  function isTooOften(address: string): boolean {
    const network = networkOf(address)
    const taken = take(networks.get(network), finishRate, nowMs())
    networks.delete(network)
    networks.set(network, taken.bucket)
    if (networks.size > maxNetworks) networks.delete(networks.keys().next().value!)
    return !taken.isAllowed
  }

  return {
    providerName: config.providerName,
    logOutUrl: provider.logOutUrl,
    clientId: config.clientId,

    /** Where to send the browser, and what it keeps until it returns to `redirectUri`. */
    async begin(
      { redirectUri, to, isAgain }: { redirectUri: string; to: string; isAgain: boolean },
      address: string,
    ): Promise<Begun> {
      const begun = pending.begin(redirectUri, to)
      const found = await provider.begin(begun.pending, { isAgain })
      if (!found.ok) return fail(found.problem, address, found.reason)
      return { ok: true, url: found.url, kept: begun.kept, keptMs: pendingMs }
    },

    /** The id of the browser's copy that belongs to the query `search`; null: none. */
    idOf(search: string): string | null {
      const state = new URLSearchParams(search).getAll('state')
      return state.length === 1 && isState(state[0]!) ? idOf(state[0]!) : null
    },

    /** Completes a sign-in. Without a sign-in that this browser has begun, the provider is not asked. */
    async finish(
      { search, redirectUri, kept }: { search: string; redirectUri: string; kept: string | undefined },
      address: string,
    ): Promise<SignedIn> {
      const state = new URLSearchParams(search).get('state') ?? ''
      const opened = pending.open(state, kept, redirectUri)
      if (!opened.ok) return fail(opened.problem, address)
      if (isTooOften(address)) return fail('slow', address)
      if (!(await useSignIn(control.outbox, hashOf(state), pendingMs))) return fail('used', address)
      const finished = await provider.finish(opened.pending, search)
      if (!finished.ok) return fail(finished.problem, address, finished.reason)
      const { claims, idToken } = finished
      const mapped = mapClaims(config.mapping, claims)
      if (!mapped.ok) {
        const { refusal, subject, name } = mapped
        await sessions.refused(address, { subject, name, problem: refusal })
        return { ...fail(refusal, address), name }
      }
      const endsAtMs = Math.min(nowMs() + config.sessionMs, sessionEndOf(claims) ?? Number.POSITIVE_INFINITY)
      if (endsAtMs <= nowMs()) return fail('clock', address, 'the session at the provider has ended')
      const started = await sessions.signedIn(mapped.user, idToken, endsAtMs, address)
      return { ok: true, ...started, to: opened.to }
    },
  }
}
