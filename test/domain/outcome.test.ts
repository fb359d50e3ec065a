import { expect, test } from 'vitest'
import { classifyDeadline, classifyError, classifyStatus } from '../../src/domain/delivery/outcome.ts'

test.each([
  [200, 'delivered', undefined],
  [204, 'delivered', undefined],
  [299, 'delivered', undefined],
  [301, 'refused', 'redirect'],
  [304, 'refused', 'http_error'],
  [308, 'refused', 'redirect'],
  [199, 'refused', 'http_error'],
  [400, 'refused', 'http_error'],
  [401, 'refused', 'http_error'],
  [404, 'refused', 'http_error'],
  [410, 'refused', 'http_error'],
  [429, 'refused', 'http_error'],
  [500, 'refused', 'http_error'],
  [503, 'refused', 'http_error'],
  [999, 'refused', 'http_error'],
])('status %d is %s (%s)', (status, outcome, errorClass) => {
  const verdict = classifyStatus(status, null)
  expect(verdict.outcome).toBe(outcome)
  expect(verdict.failure?.errorClass).toBe(errorClass)
  if (verdict.failure) expect(verdict.failure.message).toContain(String(status))
})

test.each([
  [410, 'wants no more requests, so walhook disabled the webhook'],
  [429, 'asks for fewer requests'],
  [401, "Check that it verifies with this webhook's secret"],
  [403, "Check that it verifies with this webhook's secret"],
  [404, 'Check the path of the URL'],
  [405, 'Check the path of the URL'],
  [304, 'is for requests with a condition'],
  [301, 'names no other address (Location)'],
  [500, 'Only 200 to 299 counts as received'],
])('the explanation or hint of status %d: %s', (status, part) => {
  expect(classifyStatus(status, null).failure!.message).toContain(part)
})

test('a redirect is explained with its target and the fix', () => {
  expect(classifyStatus(302, 'https://elsewhere.example/').failure!.message).toMatch(
    /https:\/\/elsewhere\.example\/.*set the webhook's URL/,
  )
})

test.each([
  ['ENOTFOUND', 'unreachable', 'dns_error'],
  ['EAI_AGAIN', 'unreachable', 'dns_error'],
  ['EBLOCKED', 'blocked', 'blocked_target'],
  ['ECONNREFUSED', 'unreachable', 'connection_refused'],
  ['ECONNRESET', 'unreachable', 'connection_reset'],
  ['UND_ERR_SOCKET', 'unreachable', 'connection_reset'],
  ['EHOSTUNREACH', 'unreachable', 'network_unreachable'],
  ['ENETUNREACH', 'unreachable', 'network_unreachable'],
  ['CERT_HAS_EXPIRED', 'unreachable', 'tls_error'],
  ['ERR_TLS_CERT_ALTNAME_INVALID', 'unreachable', 'tls_error'],
  ['ERR_SSL_WRONG_VERSION_NUMBER', 'unreachable', 'tls_error'],
  ['EPROTO', 'unreachable', 'tls_error'],
  ['INVALID_PURPOSE', 'unreachable', 'tls_error'],
  ['CRL_HAS_EXPIRED', 'unreachable', 'tls_error'],
  ['EPROXY', 'unreachable', 'network_unreachable'],
  ['UND_ERR_CONNECT_TIMEOUT', 'unreachable', 'timeout'],
  ['HPE_INVALID_CONSTANT', 'unreachable', 'invalid_response'],
  ['UND_ERR_HEADERS_OVERFLOW', 'unreachable', 'invalid_response'],
  ['EWHATEVER', 'unreachable', 'connection_reset'],
])('the error %s is %s (%s), with a sentence', (code, outcome, errorClass) => {
  const verdict = classifyError(code, 'The reason')
  expect(verdict).toMatchObject({ outcome, failure: { errorClass } })
  expect(verdict.failure!.message.length).toBeGreaterThan(9)
})

test('the exceeded deadline is shown in seconds', () => {
  expect(classifyDeadline(15_000)).toMatchObject({
    outcome: 'unreachable',
    failure: { errorClass: 'timeout', message: expect.stringContaining('15 s') },
  })
})
