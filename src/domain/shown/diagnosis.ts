import type { ErrorClass, Outcome } from '../delivery/outcome.ts'

/** The diagnosis of an attempt. Pages have a sentence and advice for each. */
export const diagnoses = [
  'delivered',
  'delivered_slowly',
  'cancelled',
  'blocked',
  'unknown_name',
  'nothing_listens',
  'cut_off',
  'no_route',
  'no_trust',
  'too_late',
  'not_http',
  'redirects',
  'gone',
  'wrong_signature',
  'wrong_path',
  'too_large',
  'busy',
  'receiver_failed',
  'other_status',
] as const
export type Diagnosis = (typeof diagnoses)[number]

/** A slower receiver may exceed the deadline under load. */
const slowMs = 5_000

const byErrorClass = {
  dns_error: 'unknown_name',
  blocked_target: 'blocked',
  connection_refused: 'nothing_listens',
  connection_reset: 'cut_off',
  network_unreachable: 'no_route',
  tls_error: 'no_trust',
  timeout: 'too_late',
  redirect: 'redirects',
  invalid_response: 'not_http',
} as const satisfies Partial<Record<ErrorClass, Diagnosis>>

/** The diagnosis of an attempt. `status` is null without a response. */
export function diagnose(attempt: {
  readonly outcome: Outcome
  readonly errorClass: ErrorClass | null
  readonly status: number | null
  readonly durationMs: number
}): Diagnosis {
  const { outcome, errorClass, status } = attempt
  if (outcome === 'delivered') return attempt.durationMs > slowMs ? 'delivered_slowly' : 'delivered'
  if (outcome === 'cancelled') return 'cancelled'
  if (errorClass !== null && errorClass !== 'http_error') return byErrorClass[errorClass]
  return byStatus(status ?? 0)
}

function byStatus(status: number): Diagnosis {
  switch (status) {
    case 401:
    case 403:
      return 'wrong_signature'
    case 404:
    case 405:
      return 'wrong_path'
    case 410:
      return 'gone'
    case 413:
      return 'too_large'
    case 429:
    case 502:
    case 503:
    case 504:
      return 'busy'
    default:
      return status >= 500 ? 'receiver_failed' : 'other_status'
  }
}
