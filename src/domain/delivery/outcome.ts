/**
 * How an attempt ended. Only `delivered` ends a delivery; `cancelled` (our own shutdown cut it off) is
 * not the receiver's fault and costs no attempt.
 */
export const outcomes = ['delivered', 'refused', 'unreachable', 'blocked', 'cancelled'] as const
export type Outcome = (typeof outcomes)[number]

/** The sort of failure, for people and programs to act on. */
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

/** A failure in a plain sentence, with what to try. */
export type Failure = {
  readonly errorClass: ErrorClass
  readonly message: string
  /** It failed before anything left our own network, so it says nothing of the receiver. */
  readonly isOurs?: boolean
}

export type Verdict = { readonly outcome: Outcome; readonly failure: Failure | null }

/** Judges an answer by its status (100–999). Every 2xx is a receipt, whatever the body says. */
export function judgeStatus(status: number, location: string | null): Verdict {
  if (status >= 200 && status <= 299) return { outcome: 'delivered', failure: null }
  if (status >= 300 && status <= 399) {
    if (status === 304)
      return refused(
        'http_error',
        'The receiver answered 304 Not Modified, which is for requests with a condition, and walhook sends none. It must answer a POST with a status such as 204.',
      )
    if (location === null)
      return refused(
        'redirect',
        `The receiver answered ${status}, which redirects, and names no other address (Location). Redirects are never followed: check the webhook's URL.`,
      )
    return refused(
      'redirect',
      `The receiver answered ${status} and redirects to ${location}. Redirects are never followed: set the webhook's URL to the final address.`,
    )
  }
  if (status === 410)
    return refused(
      'http_error',
      'The receiver answered 410 Gone: it wants no more requests, so the webhook was disabled.',
    )
  if (status === 429) return refused('http_error', 'The receiver answered 429: it asks for fewer requests.')
  if (status === 401 || status === 403)
    return refused(
      'http_error',
      `The receiver answered ${status}: it did not accept the request. Check that it verifies with this webhook's secret, over the exact bytes of the body.`,
    )
  if (status === 404 || status === 405)
    return refused(
      'http_error',
      `The receiver answered ${status}: nothing accepts a POST at this address. Check the path of the URL.`,
    )
  return refused(
    'http_error',
    `The receiver answered ${status}. Anything but 200 to 299 counts as not received.`,
  )
}

function refused(errorClass: ErrorClass, message: string): Verdict {
  return { outcome: 'refused', failure: { errorClass, message } }
}

/** Whether the resolver's error says that there is no such name, or no address of it, and not that DNS failed. */
export function isUnknownName(code: string): boolean {
  return ['ENOTFOUND', 'ENODATA', 'EAI_NODATA', 'EAI_NONAME'].includes(code)
}

const wantsCertificate =
  'The receiver wants a client certificate (mutual TLS). Give this webhook one, or turn it off there.'
const noTls = 'What answers at this port does not speak TLS. Check the port of the URL.'

const byCode: Record<string, readonly [ErrorClass, string]> = {
  ENOTFOUND: ['dns_error', "The host's name is unknown to DNS. Check the spelling of the URL."],
  EAI_AGAIN: ['dns_error', 'DNS did not answer for this host. It is tried again.'],
  EAI_NODATA: ['dns_error', "The host's name has no address in DNS."],
  ENODATA: ['dns_error', "The host's name has no address in DNS."],
  ECONNREFUSED: ['connection_refused', 'Nothing listens at this address and port. Is the receiver running?'],
  ECONNRESET: ['connection_reset', 'The receiver closed the connection before it had answered.'],
  ANSWER_CUT: [
    'connection_reset',
    'The receiver closed the connection in the middle of its answer, so nobody knows whether that was all of it.',
  ],
  EPIPE: ['connection_reset', 'The receiver closed the connection before it had answered.'],
  UND_ERR_SOCKET: ['connection_reset', 'The receiver closed the connection before it had answered.'],
  EHOSTUNREACH: ['network_unreachable', 'No route leads to this host.'],
  ENETUNREACH: ['network_unreachable', 'No route leads to this network.'],
  ETIMEDOUT: ['timeout', 'The receiver did not accept a connection in time.'],
  UND_ERR_CONNECT_TIMEOUT: ['timeout', 'The receiver did not accept a connection in time.'],
  HPE_UNASKED_100: [
    'invalid_response',
    'The receiver answered 100 Continue, which is for requests with "Expect", and walhook sends none. It must answer with a final status, such as 204.',
  ],
  HPE_UNASKED_101: [
    'invalid_response',
    'The receiver answered 101 Switching Protocols, which is for requests with "Upgrade", and walhook sends none. It must answer with a final status, such as 204.',
  ],
  ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED: ['tls_error', wantsCertificate],
  CLOSED_BARE: [
    'connection_reset',
    'The receiver closed the connection before it had answered. It may want a client certificate (mutual TLS): give this webhook one, or turn it off there.',
  ],
  UND_ERR_HEADERS_OVERFLOW: ['invalid_response', "The answer's headers are too large."],
  CERT_HAS_EXPIRED: ['tls_error', "The receiver's certificate has expired. It must be renewed there."],
  DEPTH_ZERO_SELF_SIGNED_CERT: [
    'tls_error',
    "The receiver's certificate is self-signed; use one from a public authority.",
  ],
  SELF_SIGNED_CERT_IN_CHAIN: [
    'tls_error',
    "The receiver's certificate chain is self-signed; use one from a public authority.",
  ],
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: ['tls_error', 'The receiver does not send its intermediate certificates.'],
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: [
    'tls_error',
    "The receiver's certificate comes from an unknown authority.",
  ],
  ERR_SSL_WRONG_VERSION_NUMBER: ['tls_error', noTls],
  ERR_SSL_PACKET_LENGTH_TOO_LONG: ['tls_error', noTls],
  ERR_TLS_CERT_ALTNAME_INVALID: ['tls_error', "The receiver's certificate is for another host name."],
}

/** Those of OpenSSL's verdicts on a certificate whose names do not say that they are. */
const certificateCodes = new Set([
  'INVALID_CA',
  'INVALID_PURPOSE',
  'PATH_LENGTH_EXCEEDED',
  'HOSTNAME_MISMATCH',
  'UNABLE_TO_DECODE_ISSUER_PUBLIC_KEY',
  'UNSPECIFIED',
])

/** Where a link of our own is down, or DNS, or the egress proxy. */
const ourOwn = new Set(['EAI_AGAIN', 'ENETUNREACH', 'EPROXY'])

/**
 * Judges a request that brought no answer, by the error's code (Node's, OpenSSL's or undici's) and message.
 * The deadline is told apart by the caller, which knows it.
 */
export function judgeError(code: string, message: string): Verdict {
  if (code === 'EBLOCKED') return { outcome: 'blocked', failure: { errorClass: 'blocked_target', message } }
  const isOurs = ourOwn.has(code)
  if (code === 'EPROXY')
    return { outcome: 'unreachable', failure: { errorClass: 'network_unreachable', message, isOurs } }
  const known = byCode[code]
  if (known)
    return {
      outcome: 'unreachable',
      failure: { errorClass: known[0], message: known[1], ...(isOurs && { isOurs }) },
    }
  if (/^ERR_(TLS|SSL)|CERT|SSL|CRL|^EPROTO$/.test(code) || certificateCodes.has(code))
    return {
      outcome: 'unreachable',
      failure: { errorClass: 'tls_error', message: `No secure connection: ${message}.` },
    }
  if (/^(HPE_|UND_ERR_RES_)|PARSER/.test(code))
    return {
      outcome: 'unreachable',
      failure: { errorClass: 'invalid_response', message: `The answer is not valid HTTP: ${message}.` },
    }
  return {
    outcome: 'unreachable',
    failure: { errorClass: 'connection_reset', message: `The connection failed: ${message}.` },
  }
}

/** Judges an attempt that met its one deadline (`deadlineMs`). */
export function judgeDeadline(deadlineMs: number): Verdict {
  const message = `The receiver did not answer completely within ${deadlineMs / 1000} s. Answer first, work afterwards.`
  return { outcome: 'unreachable', failure: { errorClass: 'timeout', message } }
}
