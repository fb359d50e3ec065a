import { createHash, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

type Claims = Record<string, unknown>
type Json = (response: ServerResponse, status: number, body: object) => void

/** How a provider misbehaves; each is checked again at every request. */
export type Misbehaviour = {
  /** Instead of the ID token's own. */
  claims?: Claims
  header?: Claims
  /** Signs with a key that nobody knows. */
  otherKey?: boolean
  /** Of the answer to the browser: another issuer, no code, an error. */
  callback?: Record<string, string>
  /** Gives a token for a code as often as it comes. */
  codesLast?: boolean
  metadata?: Claims
  /** Answers a path by itself. */
  answer?: (path: string, response: ServerResponse, json: Json) => boolean
}

const base64 = (value: object | string) =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url')

/**
 * A small provider of OpenID Connect on this machine that signs everybody in at once as `user`, does what the standard says, and
 * whatever else a test asks for.
 */
export async function startOidcProvider(client: { id: string; secret: string | null }) {
  const keys = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const others = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const codes = new Map<string, { nonce: string; challenge: string; redirectUri: string }>()
  const requests: { path: string; body: string; authorization: string | undefined }[] = []
  const state = {
    user: { sub: 'jane', email: 'jane@example.com', roles: ['viewer'] } as Claims,
    userinfo: {} as Claims,
    misbehaves: {} as Misbehaviour,
    requests,
    issuer: '',
    client,
    /** A token for whoever signs in, as this provider signs it. */
    token: (claims: Claims) => signed(claims, keys.privateKey),
  }
  const signed = (claims: Claims, key: KeyObject, header: Claims = {}) => {
    const whole = { alg: 'RS256', kid: 'one', typ: 'JWT', ...header }
    const text = `${base64(whole)}.${base64(claims)}`
    return whole.alg === 'none'
      ? `${text}.`
      : `${text}.${sign('sha256', Buffer.from(text), key).toString('base64url')}`
  }
  const json: Json = (response, status, body) =>
    void response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))

  function authorize(query: URLSearchParams, response: ServerResponse): void {
    const code = randomBytes(12).toString('hex')
    const redirectUri = query.get('redirect_uri')!
    codes.set(code, { nonce: query.get('nonce')!, challenge: query.get('code_challenge')!, redirectUri })
    const { callback = {} } = state.misbehaves
    const given = { code, state: query.get('state')!, iss: state.issuer, ...callback }
    const known = Object.entries(given).filter(([, value]) => value !== '')
    const location = `${redirectUri}?${new URLSearchParams(known)}`
    response.writeHead(303, { location }).end()
  }

  function redeem(form: URLSearchParams, authorization: string | undefined, response: ServerResponse): void {
    const { id, secret } = state.client
    const given = Buffer.from(authorization?.replace(/^Basic /, '') ?? '', 'base64').toString()
    const isClient =
      secret === null
        ? form.get('client_id') === id
        : decodeURIComponent(given.replaceAll('+', ' ')) === `${id}:${secret}`
    if (!isClient) {
      json(response, 401, { error: 'invalid_client' })
      return
    }
    const code = form.get('code') ?? ''
    const found = codes.get(code)
    const challenge = createHash('sha256')
      .update(form.get('code_verifier') ?? '')
      .digest('base64url')
    if (found?.challenge !== challenge || found.redirectUri !== form.get('redirect_uri'))
      return void json(response, 400, {
        error: 'invalid_grant',
        error_description: `the code ${code} is not known`,
      })
    const { claims, header, otherKey, codesLast } = state.misbehaves
    if (!codesLast) codes.delete(code)
    const now = Math.floor(Date.now() / 1000)
    const claimSet = {
      ...{ iss: state.issuer, aud: id, iat: now, exp: now + 300, nonce: found.nonce },
      ...state.user,
      ...claims,
    }
    const idToken = signed(claimSet, (otherKey ? others : keys).privateKey, header)
    json(response, 200, {
      access_token: 'an-access-token',
      token_type: 'Bearer',
      expires_in: 60,
      id_token: idToken,
    })
  }

  async function onRequest(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url!, state.issuer)
    let body = ''
    for await (const part of request) body += part
    requests.push({ path: url.pathname, body, authorization: request.headers.authorization })
    if (state.misbehaves.answer?.(url.pathname, response, json)) return
    switch (url.pathname) {
      case '/.well-known/openid-configuration':
        return json(response, 200, {
          ...{ issuer: state.issuer, authorization_endpoint: `${state.issuer}/authorize` },
          ...{ token_endpoint: `${state.issuer}/token`, jwks_uri: `${state.issuer}/keys` },
          ...{ userinfo_endpoint: `${state.issuer}/userinfo`, end_session_endpoint: `${state.issuer}/end` },
          ...{ response_types_supported: ['code'], subject_types_supported: ['public'] },
          id_token_signing_alg_values_supported: ['RS256'],
          authorization_response_iss_parameter_supported: true,
          ...state.misbehaves.metadata,
        })
      case '/keys': {
        const jwk = { ...keys.publicKey.export({ format: 'jwk' }), kid: 'one', use: 'sig', alg: 'RS256' }
        return json(response, 200, { keys: [jwk] })
      }
      case '/authorize':
        return authorize(url.searchParams, response)
      case '/token':
        return redeem(new URLSearchParams(body), request.headers.authorization, response)
      case '/userinfo':
        return json(response, 200, { sub: state.user.sub, ...state.userinfo })
      case '/end': {
        const location = new URLSearchParams(body).get('post_logout_redirect_uri')
        return void response.writeHead(303, { location: location ?? '/' }).end()
      }
    }
    response.writeHead(404).end()
  }

  const server = createServer((request, response) => void onRequest(request, response))
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  state.issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return Object.assign(state, {
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise(resolve => server.close(resolve))
    },
  })
}

export type OidcProvider = Awaited<ReturnType<typeof startOidcProvider>>
