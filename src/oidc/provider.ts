import type * as OpenidClient from 'openid-client'
import pRetry from 'p-retry'
import { lacksClaims } from '../domain/access/claims.ts'
import {
  isThisMachine,
  type Provider,
  type ProviderFailure,
  type SignInConfig,
} from '../domain/access/sign-in.ts'
import { hourMs, secondMs } from '../domain/value/duration.ts'
import { shared } from '../runtime/shared.ts'
import { boundedFetch } from './bounded-fetch.ts'
import { failureOf } from './failure.ts'

type Client = typeof OpenidClient
type Known = { readonly ok: true; readonly client: Client; readonly at: OpenidClient.Configuration }

/** Per request. */
const withinS = 5
/** Clocks of servers differ by seconds. */
const toleranceS = 30
/** An unresponsive provider is asked at most once per interval. */
const failureKeptMs = 2 * secondMs

/**
 * An OpenID provider, by openid-client, which is loaded at the first sign-in. Its metadata is fetched then, with one retry,
 * and every hour; if that fails, the last metadata is used.
 */
export function openProvider(
  config: SignInConfig,
  {
    load = () => import('openid-client'),
    nowMs = () => performance.now(),
  }: { load?: () => Promise<Client>; nowMs?: () => number } = {},
): Provider {
  let last: Known | null = null
  const secrets = config.clientSecret === null ? [] : [config.clientSecret]

  const known = shared<Known | ProviderFailure>(
    found => (found.ok ? hourMs : failureKeptMs),
    nowMs,
    async () => {
      try {
        const client = await load()
        const ask = async () => ({ ok: true, client, at: await discover(client, config) }) as const
        last = await pRetry(ask, {
          retries: 1,
          minTimeout: 200,
          shouldRetry: ({ error }) => failureOf(error).problem === 'unreachable',
        })
        return last
      } catch (error) {
        return last ?? failureOf(error, secrets)
      }
    },
  )

  return {
    async begin({ state, nonce, verifier, redirectUri }, { isAgain }) {
      const found = await known()
      if (!found.ok) return found
      const { client, at } = found
      try {
        const url = client.buildAuthorizationUrl(at, {
          redirect_uri: redirectUri,
          scope: config.scopes,
          ...{ state, nonce },
          code_challenge: await client.calculatePKCECodeChallenge(verifier),
          code_challenge_method: 'S256',
          ...(isAgain && { prompt: promptFor(at.serverMetadata()) }),
        })
        return { ok: true, url }
      } catch (error) {
        return failureOf(error, secrets)
      }
    },

    async finish({ state, nonce, verifier, redirectUri }, search) {
      const found = await known()
      if (!found.ok) return found
      const { client, at } = found
      const code = new URLSearchParams(search).get('code') ?? ''
      try {
        const tokens = await client.authorizationCodeGrant(at, new URL(redirectUri + search), {
          pkceCodeVerifier: verifier,
          expectedState: state,
          expectedNonce: nonce,
          idTokenExpected: true,
        })
        const claims = tokens.claims()!
        const hasUserInfo = at.serverMetadata().userinfo_endpoint !== undefined
        const more =
          hasUserInfo && lacksClaims(config.mapping, claims)
            ? await client.fetchUserInfo(at, tokens.access_token, claims.sub)
            : {}
        return { ok: true, claims: { ...more, ...claims }, idToken: tokens.id_token! }
      } catch (error) {
        return failureOf(error, [...secrets, code, state, nonce, verifier])
      }
    },

    async logOutUrl() {
      const found = await known()
      const url = found.ok ? URL.parse(found.at.serverMetadata().end_session_endpoint ?? '') : null
      return url && (url.protocol === 'https:' || isThisMachine(url)) ? url : null
    },
  }
}

/** Fetches the provider's metadata, and configures every request to it. */
async function discover(client: Client, config: SignInConfig): Promise<OpenidClient.Configuration> {
  const { issuer, clientId, clientSecret } = config
  const url = new URL(issuer)
  const at = await client.discovery(url, clientId, undefined, undefined, {
    timeout: withinS,
    [client.customFetch]: boundedFetch,
    execute: isThisMachine(url) ? [client.allowInsecureRequests] : [],
  })
  const about = at.serverMetadata()
  const authentication = authenticationOf(client, clientSecret, about.token_endpoint_auth_methods_supported)
  const configured = new client.Configuration(
    about,
    clientId,
    { [client.clockTolerance]: toleranceS },
    authentication,
  )
  configured[client.customFetch] = boundedFetch
  configured.timeout = withinS
  if (isThisMachine(url)) client.allowInsecureRequests(configured)
  // Verifies signatures, although the token comes directly from the provider.
  client.enableNonRepudiationChecks(configured)
  return configured
}

/**
 * The provider's authentication method, else the standard's default.
 * https://openid.net/specs/openid-connect-discovery-1_0.html#ProviderMetadata
 */
function authenticationOf(client: Client, secret: string | null, supported: readonly string[] | undefined) {
  if (secret === null) return client.None()
  const takesBasic = supported?.includes('client_secret_basic') ?? true
  return takesBasic ? client.ClientSecretBasic(secret) : client.ClientSecretPost(secret)
}

/** The prompt that offers another account: `select_account` if the provider supports it. */
function promptFor({ prompt_values_supported: known }: OpenidClient.ServerMetadata): string {
  return Array.isArray(known) && known.includes('select_account') ? 'select_account' : 'login'
}
