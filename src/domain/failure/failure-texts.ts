/** The facts of each failure of an attempt, and of a webhook disabled by it. A code never changes its meaning. */
export type FailureFacts = {
  'answer.not_modified': Nothing
  'answer.redirect': { status: number | string }
  'answer.redirect_to': { status: number | string; location: string }
  'answer.gone': Nothing
  'answer.too_many': Nothing
  'answer.rejected': { status: number | string }
  'answer.not_found': { status: number | string }
  'answer.status': { status: number | string }
  'answer.late': { seconds: number | string }
  'answer.cut': Nothing
  'answer.continue': Nothing
  'answer.upgrade': Nothing
  'answer.headers': Nothing
  'answer.invalid': { message: string }
  'dns.unknown': Nothing
  'dns.failed': Nothing
  'dns.no_address': Nothing
  'connection.refused': Nothing
  'connection.closed': Nothing
  'connection.closed_bare': Nothing
  'connection.late': Nothing
  'connection.failed': { message: string }
  'route.host': Nothing
  'route.network': Nothing
  'proxy.unreachable': { message: string }
  'proxy.closed': Nothing
  'proxy.not_http': Nothing
  'proxy.login': Nothing
  'proxy.status': { status: number | string; target: string }
  'proxy.more': Nothing
  'tls.certificate_wanted': Nothing
  'tls.none': Nothing
  'tls.expired': Nothing
  'tls.self_signed': Nothing
  'tls.chain_self_signed': Nothing
  'tls.no_intermediates': Nothing
  'tls.unknown_authority': Nothing
  'tls.other_name': Nothing
  'unsent.secret': { why: string }
  'unsent.headers': { why: string }
  'unsent.certificate': { why: string }
  'tls.failed': { message: string }
  'disabled.failed_too_long': { since: string; days: number | string }
}

type Nothing = Record<never, never>

export type FailureCode = keyof FailureFacts

/** One sentence per failure. */
export type FailureTexts = {
  readonly [Code in FailureCode]: (facts: FailureFacts[Code]) => string
}

/**
 * Failures in English, as the log of attempts stores them. Other languages read code and facts back from the sentence
 * (`readBack`), so each text is one fixed form around its facts. A changed text moves to `formerTexts`.
 */
export const failureTexts: FailureTexts = {
  'answer.not_modified': () =>
    'The receiver answered 304 Not Modified, which is for requests with a condition, and walhook sends none. It must answer a POST with a status such as 204.',
  'answer.redirect': ({ status }) =>
    `The receiver answered ${status}, which redirects, and names no other address (Location). walhook follows no redirects: check the webhook's URL.`,
  'answer.redirect_to': ({ status, location }) =>
    `The receiver answered ${status} and redirects to ${location}. walhook follows no redirects: set the webhook's URL to the final address.`,
  'answer.gone': () =>
    'The receiver answered 410 Gone: it wants no more requests, so walhook disabled the webhook.',
  'answer.too_many': () => 'The receiver answered 429: it asks for fewer requests.',
  'answer.rejected': ({ status }) =>
    `The receiver answered ${status}: it did not accept the request. Check that it verifies with this webhook's secret, over the exact bytes of the body.`,
  'answer.not_found': ({ status }) =>
    `The receiver answered ${status}: it does not accept POST at this address. Check the path of the URL.`,
  'answer.status': ({ status }) => `The receiver answered ${status}. Only 200 to 299 counts as received.`,
  'answer.late': ({ seconds }) =>
    `The receiver did not answer completely within ${seconds} s. Answer first, work afterwards.`,
  'answer.cut': () => 'The receiver closed the connection in the middle of its answer.',
  'answer.continue': () =>
    'The receiver answered 100 Continue, which is for requests with "Expect", and walhook sends none. It must answer with a final status, such as 204.',
  'answer.upgrade': () =>
    'The receiver answered 101 Switching Protocols, which is for requests with "Upgrade", and walhook sends none. It must answer with a final status, such as 204.',
  'answer.headers': () => "The answer's headers are too large.",
  'answer.invalid': ({ message }) => `The answer is not valid HTTP: ${message}.`,
  'dns.unknown': () => "The host's name is unknown to DNS. Check the spelling of the URL.",
  'dns.failed': () => 'DNS did not answer for this host. walhook retries.',
  'dns.no_address': () => "The host's name has no address in DNS.",
  'connection.refused': () => 'Nothing listens at this address and port. Is the receiver running?',
  'connection.closed': () => 'The receiver closed the connection before it answered.',
  'connection.closed_bare': () =>
    'The receiver closed the connection before it answered. It may require a client certificate (mutual TLS): give this webhook one, or turn it off there.',
  'connection.late': () => 'The receiver did not accept a connection in time.',
  'connection.failed': ({ message }) => `The connection failed: ${message}.`,
  'route.host': () => 'There is no route to this host.',
  'route.network': () => 'There is no route to this network.',
  'proxy.unreachable': ({ message }) =>
    `The egress proxy can't be reached: ${message}. Check WALHOOK_PROXY, and what the proxy allows.`,
  'proxy.closed': () =>
    'The egress proxy closed the connection without an answer. Check WALHOOK_PROXY, and what the proxy allows.',
  'proxy.not_http': () =>
    'The answer of the egress proxy is not HTTP. Check WALHOOK_PROXY, and what the proxy allows.',
  'proxy.login': () =>
    'The egress proxy rejected the user or password (407). Check WALHOOK_PROXY, and what the proxy allows.',
  'proxy.status': ({ status, target }) =>
    `The egress proxy answered ${status} to the request for ${target}. Check WALHOOK_PROXY, and what the proxy allows.`,
  'proxy.more': () =>
    'The egress proxy sends more than an answer. Check WALHOOK_PROXY, and what the proxy allows.',
  'tls.certificate_wanted': () =>
    'The receiver requires a client certificate (mutual TLS). Give this webhook one, or turn it off there.',
  'tls.none': () => 'The server at this port does not speak TLS. Check the port in the URL.',
  'tls.expired': () => "The receiver's certificate has expired. The receiver must renew it.",
  'tls.self_signed': () => "The receiver's certificate is self-signed; use one from a public authority.",
  'tls.chain_self_signed': () =>
    "The receiver's certificate chain is self-signed; use one from a public authority.",
  'tls.no_intermediates': () => 'The receiver does not send its intermediate certificates.',
  'tls.unknown_authority': () => "The receiver's certificate comes from an unknown authority.",
  'tls.other_name': () => "The receiver's certificate is for another host name.",
  'unsent.secret': ({ why }) => `Not sent, because the signing secret can't be read: ${why}.`,
  'unsent.headers': ({ why }) => `Not sent, because the custom headers can't be read: ${why}.`,
  'unsent.certificate': ({ why }) => `Not sent, because the client certificate can't be read: ${why}.`,
  'tls.failed': ({ message }) => `No secure connection: ${message}.`,
  'disabled.failed_too_long': ({ since, days }) =>
    `The receiver accepted no request since ${since}, for more than ${days} days (not counting times when walhook sent nothing), so walhook disabled the webhook. Activate it again once the receiver works.`,
}
