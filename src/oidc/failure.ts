import type { ProviderFailure, SignInProblem } from '../domain/access/sign-in.ts'
import { describeError } from '../runtime/log.ts'
import { TooLarge } from './bounded-fetch.ts'

const longestReason = 300

/** A failure of openid-client; `error` is the provider's own code (RFC 6749 section 5.2). */
type ClientError = Error & {
  readonly code?: string
  readonly error?: string
  readonly error_description?: string
  readonly status?: number
}

/**
 * Classifies an error of a request to the provider. The reason contains no claims, no bodies, and none of `secrets`, even if
 * the provider repeats them.
 */
export function failureOf(error: unknown, secrets: readonly string[] = []): ProviderFailure {
  const failure = error as ClientError
  const [problem, text] = classify(failure)
  const plain = secrets
    .filter(one => one.length > 3)
    .reduce((reason, secret) => reason.replaceAll(secret, '…'), text)
  return { ok: false, problem, reason: plain.slice(0, longestReason) }
}

function classify(error: ClientError): [SignInProblem, string] {
  const { code, cause } = error
  const because = cause instanceof Error ? `${error.message}: ${cause.message}` : error.message
  if (typeof error.error === 'string') return ofProvider(error, error.error)
  if (error instanceof TooLarge || cause instanceof TooLarge) return ['unusable', because]
  switch (code) {
    case 'OAUTH_TIMEOUT':
    case 'OAUTH_ABORT':
      return ['unreachable', 'it did not answer in time']
    case 'OAUTH_JWT_TIMESTAMP_CHECK_FAILED':
      return ['clock', because]
    case 'OAUTH_WWW_AUTHENTICATE_CHALLENGE':
      return ['client', 'it asks for other credentials of the client']
    case 'OAUTH_RESPONSE_IS_NOT_CONFORM': {
      const status = cause instanceof Response ? cause.status : 0
      return [
        status >= 500 || status === 429 ? 'unreachable' : 'unusable',
        `it answered with status ${status}`,
      ]
    }
    case 'OAUTH_RESPONSE_IS_NOT_JSON':
    case 'OAUTH_PARSE_ERROR':
      return ['unusable', error.message]
  }
  // fetch rejects with this if there is no connection, or it breaks off.
  const isCutOff = error instanceof TypeError && /fetch failed|terminated/.test(error.message)
  if (isCutOff || error.name === 'TimeoutError')
    return ['unreachable', cause === undefined ? error.message : describeError(cause)]
  return ['unusable', because]
}

function ofProvider(error: ClientError, code: string): [SignInProblem, string] {
  const reason = [code, error.error_description].filter(one => typeof one === 'string').join(': ')
  const isAnswerToBrowser = error.code === 'OAUTH_AUTHORIZATION_RESPONSE_ERROR'
  if (code === 'access_denied') return ['cancelled', reason]
  if (isAnswerToBrowser) return ['refused', reason]
  if (code === 'invalid_client' || code === 'unauthorized_client') return ['client', reason]
  if (code === 'invalid_grant') return ['used', reason]
  return (error.status ?? 0) >= 500 ? ['unreachable', reason] : ['unusable', reason]
}
