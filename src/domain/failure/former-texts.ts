import type { FailureTexts } from './failure-texts.ts'

const proxy = 'Check WALHOOK_PROXY, and what the proxy allows.'

/** Texts of earlier versions, which the log of attempts still holds: they are only read back. */
export const formerTexts: Partial<FailureTexts> = {
  'answer.redirect': ({ status }) =>
    `The receiver answered ${status}, which redirects, and names no other address (Location). Redirects are never followed: check the webhook's URL.`,
  'answer.redirect_to': ({ status, location }) =>
    `The receiver answered ${status} and redirects to ${location}. Redirects are never followed: set the webhook's URL to the final address.`,
  'answer.gone': () =>
    'The receiver answered 410 Gone: it wants no more requests, so the webhook was disabled.',
  'answer.not_found': ({ status }) =>
    `The receiver answered ${status}: nothing accepts a POST at this address. Check the path of the URL.`,
  'answer.status': ({ status }) =>
    `The receiver answered ${status}. Anything but 200 to 299 counts as not received.`,
  'answer.cut': () =>
    'The receiver closed the connection in the middle of its answer, so nobody knows whether that was all of it.',
  'dns.failed': () => 'DNS did not answer for this host. It is tried again.',
  'connection.closed': () => 'The receiver closed the connection before it had answered.',
  'connection.closed_bare': () =>
    'The receiver closed the connection before it had answered. It may want a client certificate (mutual TLS): give this webhook one, or turn it off there.',
  'route.host': () => 'No route leads to this host.',
  'route.network': () => 'No route leads to this network.',
  'proxy.not_http': () => `What the egress proxy answers is no HTTP. ${proxy}`,
  'proxy.login': () => `The egress proxy asks for another user or password (407). ${proxy}`,
  'proxy.status': ({ status, target }) =>
    `The egress proxy answered ${status} when it was asked for ${target}. ${proxy}`,
  'proxy.more': () => `The egress proxy sends more than its answer. ${proxy}`,
  'tls.certificate_wanted': () =>
    'The receiver wants a client certificate (mutual TLS). Give this webhook one, or turn it off there.',
  'tls.none': () => 'What answers at this port does not speak TLS. Check the port of the URL.',
  'tls.expired': () => "The receiver's certificate has expired. It must be renewed there.",
  'disabled.failed_too_long': ({ since, days }) =>
    `No request was accepted since ${since}, for more than ${days} days, not counting times in which walhook tried nothing, so the webhook was disabled. Activate it again once the receiver is mended.`,
}
