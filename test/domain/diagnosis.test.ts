import { expect, test } from 'vitest'
import type { ErrorClass, Outcome } from '../../src/domain/delivery/outcome.ts'
import { type Diagnosis, diagnose, diagnoses } from '../../src/domain/shown/diagnosis.ts'

const cases: [Outcome, ErrorClass | null, number | null, Diagnosis][] = [
  ['delivered', null, 200, 'delivered'],
  ['delivered', null, 299, 'delivered'],
  ['cancelled', null, null, 'cancelled'],
  ['blocked', 'blocked_target', null, 'blocked'],
  ['unreachable', 'dns_error', null, 'unknown_name'],
  ['unreachable', 'connection_refused', null, 'nothing_listens'],
  ['unreachable', 'connection_reset', null, 'cut_off'],
  ['unreachable', 'network_unreachable', null, 'no_route'],
  ['unreachable', 'tls_error', null, 'no_trust'],
  ['unreachable', 'timeout', null, 'too_late'],
  ['unreachable', 'invalid_response', null, 'not_http'],
  // The answer began, and did not end in time.
  ['unreachable', 'timeout', 200, 'too_late'],
  ['refused', 'redirect', 302, 'redirects'],
  ['refused', 'http_error', 410, 'gone'],
  ['refused', 'http_error', 401, 'wrong_signature'],
  ['refused', 'http_error', 403, 'wrong_signature'],
  ['refused', 'http_error', 404, 'wrong_path'],
  ['refused', 'http_error', 405, 'wrong_path'],
  ['refused', 'http_error', 413, 'too_large'],
  ['refused', 'http_error', 429, 'busy'],
  ['refused', 'http_error', 502, 'busy'],
  ['refused', 'http_error', 503, 'busy'],
  ['refused', 'http_error', 504, 'busy'],
  ['refused', 'http_error', 500, 'receiver_failed'],
  ['refused', 'http_error', 599, 'receiver_failed'],
  ['refused', 'http_error', 400, 'other_status'],
  ['refused', 'http_error', 199, 'other_status'],
]

test.each(cases)('%s, %s, status %s: %s', (outcome, errorClass, status, diagnosis) => {
  expect(diagnose({ outcome, errorClass, status, durationMs: 20 })).toBe(diagnosis)
})

test('a late response is distinguished from a fast one, and every diagnosis occurs', () => {
  const slow = { outcome: 'delivered', errorClass: null, status: 200, durationMs: 5_001 } as const
  expect(diagnose(slow)).toBe('delivered_slowly')
  expect(new Set(['delivered_slowly', ...cases.map(([, , , diagnosis]) => diagnosis)])).toEqual(
    new Set(diagnoses),
  )
})
