/**
 * Failures in English, as the log of attempts stores them, and the facts of each. Other languages read code and facts back
 * from the sentence (`readerOf`), so each text is one fixed form around its facts.
 */
export const failureTexts = {
  'answer.not_modified': () =>
    'The receiver answered 304 Not Modified, which is for requests with a condition, and walhook sends none. It must answer a POST with a status such as 204.',
  'answer.redirect': ({ status }: { status: number | string }) =>
    `The receiver answered ${status}, which redirects, and names no other address (Location). walhook follows no redirects: check the webhook's URL.`,
  'answer.redirect_to': ({ status, location }: { status: number | string; location: string }) =>
    `The receiver answered ${status} and redirects to ${location}. walhook follows no redirects: set the webhook's URL to the final address.`,
  'answer.gone': () =>
    'The receiver answered 410 Gone: it wants no more requests, so walhook disabled the webhook.',
  'answer.too_many': () => 'The receiver answered 429: it asks for fewer requests.',
  'answer.rejected': ({ status }: { status: number | string }) =>
    `The receiver answered ${status}: it did not accept the request. Check that it verifies with this webhook's secret, over the exact bytes of the body.`,
  'answer.not_found': ({ status }: { status: number | string }) =>
    `The receiver answered ${status}: it does not accept POST at this address. Check the path of the URL.`,
  'answer.status': ({ status }: { status: number | string }) =>
    `The receiver answered ${status}. Only 200 to 299 counts as received.`,
  'answer.late': ({ seconds }: { seconds: number | string }) =>
    `The receiver did not answer completely within ${seconds} s. Answer first, work afterwards.`,
  'answer.cut': () => 'The receiver closed the connection in the middle of its answer.',
  'answer.continue': () =>
    'The receiver answered 100 Continue, which is for requests with "Expect", and walhook sends none. It must answer with a final status, such as 204.',
  'answer.upgrade': () =>
    'The receiver answered 101 Switching Protocols, which is for requests with "Upgrade", and walhook sends none. It must answer with a final status, such as 204.',
  'answer.headers': () => "The answer's headers are too large.",
  'answer.invalid': ({ message }: { message: string }) => `The answer is not valid HTTP: ${message}.`,
  'dns.unknown': () => "The host's name is unknown to DNS. Check the spelling of the URL.",
  'dns.failed': () => 'DNS did not answer for this host. walhook retries.',
  'dns.no_address': () => "The host's name has no address in DNS.",
  'connection.refused': () => 'Nothing listens at this address and port. Is the receiver running?',
  'connection.closed': () => 'The receiver closed the connection before it answered.',
  'connection.closed_bare': () =>
    'The receiver closed the connection before it answered. It may require a client certificate (mutual TLS): give this webhook one, or turn it off there.',
  'connection.late': () => 'The receiver did not accept a connection in time.',
  'connection.failed': ({ message }: { message: string }) => `The connection failed: ${message}.`,
  'route.host': () => 'There is no route to this host.',
  'route.network': () => 'There is no route to this network.',
  'proxy.unreachable': ({ message }: { message: string }) =>
    `The egress proxy can't be reached: ${message}. Check WALHOOK_PROXY, and what the proxy allows.`,
  'proxy.closed': () =>
    'The egress proxy closed the connection without an answer. Check WALHOOK_PROXY, and what the proxy allows.',
  'proxy.not_http': () =>
    'The answer of the egress proxy is not HTTP. Check WALHOOK_PROXY, and what the proxy allows.',
  'proxy.login': () =>
    'The egress proxy rejected the user or password (407). Check WALHOOK_PROXY, and what the proxy allows.',
  'proxy.status': ({ status, target }: { status: number | string; target: string }) =>
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
  'unsent.secret': ({ why }: { why: string }) =>
    `Not sent, because the signing secret can't be read: ${why}.`,
  'unsent.headers': ({ why }: { why: string }) =>
    `Not sent, because the custom headers can't be read: ${why}.`,
  'unsent.certificate': ({ why }: { why: string }) =>
    `Not sent, because the client certificate can't be read: ${why}.`,
  'tls.failed': ({ message }: { message: string }) => `No secure connection: ${message}.`,
  'disabled.failed_too_long': ({ since, days }: { since: string; days: number | string }) =>
    `The receiver accepted no request since ${since}, for more than ${days} days (not counting times when walhook sent nothing), so walhook disabled the webhook. Activate it again once the receiver works.`,
}

export type FailureCode = keyof typeof failureTexts

/** One sentence per failure. */
export type FailureTexts = {
  readonly [Code in FailureCode]: (...facts: Parameters<(typeof failureTexts)[Code]>) => string
}
