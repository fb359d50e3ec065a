import { type FailureCode, failureTexts } from '../failure/failure-texts.ts'

/** How an attempt ended. Only `delivered` ends a delivery; `cancelled` (by walhook's own shutdown) costs no attempt. */
export const outcomes = ['delivered', 'refused', 'unreachable', 'blocked', 'cancelled'] as const
export type Outcome = (typeof outcomes)[number]

/** The kind of failure, for people and programs. */
export type ErrorClass =
  | 'dns_error'
  | 'blocked_target'
  | 'connection_refused'
  | 'connection_reset'
  | 'network_unreachable'
  | 'tls_error'
  | 'timeout'
  | 'redirect'
  | 'http_error'
  | 'invalid_response'

/** A failure in a plain sentence, with advice. */
type Failure = {
  readonly errorClass: ErrorClass
  readonly message: string
  /** It failed inside the own network, and shows nothing about the receiver. */
  readonly isOurs?: boolean
}

export type Verdict = { readonly outcome: Outcome; readonly failure: Failure | null }

/** Classifies a response by its status (100–999). Every 2xx is a receipt, whatever its body. */
export function classifyStatus(status: number, location: string | null): Verdict {
  if (status >= 200 && status <= 299) return { outcome: 'delivered', failure: null }
  if (status === 304) return refused('http_error', failureTexts['answer.not_modified']())
  if (status >= 300 && status <= 399)
    return refused(
      'redirect',
      location === null
        ? failureTexts['answer.redirect']({ status })
        : failureTexts['answer.redirect_to']({ status, location }),
    )
  return refused('http_error', textOfStatus(status))
}

function textOfStatus(status: number): string {
  if (status === 410) return failureTexts['answer.gone']()
  if (status === 429) return failureTexts['answer.too_many']()
  if (status === 401 || status === 403) return failureTexts['answer.rejected']({ status })
  if (status === 404 || status === 405) return failureTexts['answer.not_found']({ status })
  return failureTexts['answer.status']({ status })
}

function refused(errorClass: ErrorClass, message: string): Verdict {
  return { outcome: 'refused', failure: { errorClass, message } }
}

/** Whether the resolver's error means that the name or its address does not exist, rather than that DNS failed. */
export function isUnknownName(code: string): boolean {
  return ['ENOTFOUND', 'ENODATA', 'EAI_NODATA', 'EAI_NONAME'].includes(code)
}

/** The failures without facts beyond their code. */
type Plain = {
  [Code in FailureCode]: [] extends Parameters<(typeof failureTexts)[Code]> ? Code : never
}[FailureCode]

const byCode: Record<string, readonly [ErrorClass, Plain]> = {
  ENOTFOUND: ['dns_error', 'dns.unknown'],
  EAI_AGAIN: ['dns_error', 'dns.failed'],
  EAI_NODATA: ['dns_error', 'dns.no_address'],
  ENODATA: ['dns_error', 'dns.no_address'],
  ECONNREFUSED: ['connection_refused', 'connection.refused'],
  ECONNRESET: ['connection_reset', 'connection.closed'],
  ANSWER_CUT: ['connection_reset', 'answer.cut'],
  EPIPE: ['connection_reset', 'connection.closed'],
  UND_ERR_SOCKET: ['connection_reset', 'connection.closed'],
  EHOSTUNREACH: ['network_unreachable', 'route.host'],
  ENETUNREACH: ['network_unreachable', 'route.network'],
  ETIMEDOUT: ['timeout', 'connection.late'],
  UND_ERR_CONNECT_TIMEOUT: ['timeout', 'connection.late'],
  HPE_UNASKED_100: ['invalid_response', 'answer.continue'],
  HPE_UNASKED_101: ['invalid_response', 'answer.upgrade'],
  ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED: ['tls_error', 'tls.certificate_wanted'],
  CLOSED_BARE: ['connection_reset', 'connection.closed_bare'],
  UND_ERR_HEADERS_OVERFLOW: ['invalid_response', 'answer.headers'],
  CERT_HAS_EXPIRED: ['tls_error', 'tls.expired'],
  DEPTH_ZERO_SELF_SIGNED_CERT: ['tls_error', 'tls.self_signed'],
  SELF_SIGNED_CERT_IN_CHAIN: ['tls_error', 'tls.chain_self_signed'],
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: ['tls_error', 'tls.no_intermediates'],
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: ['tls_error', 'tls.unknown_authority'],
  ERR_SSL_WRONG_VERSION_NUMBER: ['tls_error', 'tls.none'],
  ERR_SSL_PACKET_LENGTH_TOO_LONG: ['tls_error', 'tls.none'],
  ERR_TLS_CERT_ALTNAME_INVALID: ['tls_error', 'tls.other_name'],
}

/** OpenSSL's certificate errors whose names do not show it. */
const certificateCodes = new Set([
  'INVALID_CA',
  'INVALID_PURPOSE',
  'PATH_LENGTH_EXCEEDED',
  'HOSTNAME_MISMATCH',
  'UNABLE_TO_DECODE_ISSUER_PUBLIC_KEY',
  'UNSPECIFIED',
])

/** The own link, DNS, or the egress proxy is down. */
const ourOwn = new Set(['EAI_AGAIN', 'ENETUNREACH', 'EPROXY'])

/**
 * Classifies a request without a response, by the code (Node's, OpenSSL's or undici's) and message of its error. The caller
 * recognizes its own deadline.
 */
export function classifyError(code: string, message: string): Verdict {
  if (code === 'EBLOCKED') return { outcome: 'blocked', failure: { errorClass: 'blocked_target', message } }
  const isOurs = ourOwn.has(code)
  if (code === 'EPROXY')
    return { outcome: 'unreachable', failure: { errorClass: 'network_unreachable', message, isOurs } }
  const known = byCode[code]
  if (known)
    return {
      outcome: 'unreachable',
      failure: { errorClass: known[0], message: failureTexts[known[1]](), ...(isOurs && { isOurs }) },
    }
  if (/^ERR_(TLS|SSL)|CERT|SSL|CRL|^EPROTO$/.test(code) || certificateCodes.has(code))
    return {
      outcome: 'unreachable',
      failure: { errorClass: 'tls_error', message: failureTexts['tls.failed']({ message }) },
    }
  if (/^(HPE_|UND_ERR_RES_)|PARSER/.test(code))
    return {
      outcome: 'unreachable',
      failure: { errorClass: 'invalid_response', message: failureTexts['answer.invalid']({ message }) },
    }
  return {
    outcome: 'unreachable',
    failure: { errorClass: 'connection_reset', message: failureTexts['connection.failed']({ message }) },
  }
}

/** Classifies an attempt that exceeded its deadline (`deadlineMs`). */
export function classifyDeadline(deadlineMs: number): Verdict {
  const message = failureTexts['answer.late']({ seconds: deadlineMs / 1000 })
  return { outcome: 'unreachable', failure: { errorClass: 'timeout', message } }
}
