import { expect, test } from 'vitest'
import { attemptView } from '../../src/admin/log/attempt-view.ts'
import { en } from '../../src/admin/texts/en.ts'
import { failureText } from '../../src/admin/texts/failure.ts'
import { failuresNl } from '../../src/admin/texts/nl/failures.ts'
import { nl } from '../../src/admin/texts/nl.ts'
import type { Attempt } from '../../src/domain/delivery/attempt.ts'
import {
  classifyDeadline,
  classifyError,
  classifyStatus,
  type Verdict,
} from '../../src/domain/delivery/outcome.ts'
import { type FailureCode, failureTexts } from '../../src/domain/failure/failure-texts.ts'
import { readerOf } from '../../src/domain/failure/read-back.ts'
import { because, type Reason, reasonInEnglish } from '../../src/domain/shown/reason.ts'
import { addressKinds } from '../../src/domain/shown/reason-texts.ts'

/** What another program says is quoted: no word of it is in the list below. */
const theirs = 'error:0A000126:SSL routines::unexpected eof'
const codes = `ENOTFOUND EAI_AGAIN EAI_NODATA ENODATA ECONNREFUSED ECONNRESET ANSWER_CUT EPIPE UND_ERR_SOCKET EHOSTUNREACH
  ENETUNREACH ETIMEDOUT UND_ERR_CONNECT_TIMEOUT HPE_UNASKED_100 HPE_UNASKED_101 ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED
  CLOSED_BARE UND_ERR_HEADERS_OVERFLOW CERT_HAS_EXPIRED DEPTH_ZERO_SELF_SIGNED_CERT SELF_SIGNED_CERT_IN_CHAIN
  UNABLE_TO_VERIFY_LEAF_SIGNATURE UNABLE_TO_GET_ISSUER_CERT_LOCALLY ERR_SSL_WRONG_VERSION_NUMBER
  ERR_SSL_PACKET_LENGTH_TOO_LONG ERR_TLS_CERT_ALTNAME_INVALID EPROTO INVALID_PURPOSE HPE_INVALID_CONSTANT ENOBUFS`

const range = '10.0.0.0/8'
const refusals: Reason[] = [
  because('url.http', { host: 'intern.example' }),
  because('url.scheme'),
  because('url.unresolved', { host: 'intern.example', code: 'ENOTFOUND' }),
  because('url.dns_failed', { host: 'intern.example', code: 'SERVFAIL' }),
  because('url.dns_late', { host: 'intern.example' }),
  because('address.denied', { target: '10.0.0.1' }),
  because('address.metadata', { address: '169.254.169.254', range: '169.254.169.254/32' }),
  because('address.own', { address: '10.0.0.1' }),
  ...Object.keys(addressKinds).map(kind =>
    because('address.special', { address: '10.0.0.1', kind: kind as keyof typeof addressKinds, range }),
  ),
]
const resolved = refusals
  .filter(({ code }) => code.startsWith('address.'))
  .map(reason => because('address.resolved', { host: 'intern.example', because: reason }))

const verdicts: [string, Verdict][] = [
  ...codes.split(/\s+/).map((code): [string, Verdict] => [code, classifyError(code, theirs)]),
  ...Array.from({ length: 900 }, (_, i) => 100 + i)
    .filter(status => status < 200 || status > 299)
    .flatMap((status): [string, Verdict][] => [
      [`${status}`, classifyStatus(status, null)],
      [`${status} with a Location`, classifyStatus(status, 'https://elsewhere.example/')],
    ]),
  ['deadline', classifyDeadline(10_000)],
  ...[...refusals, ...resolved].map((reason): [string, Verdict] => [
    JSON.stringify(reason),
    classifyError('EBLOCKED', reasonInEnglish(reason)),
  ]),
  ['proxy', classifyError('EPROXY', failureTexts['proxy.status']({ status: 502, target: '192.0.2.1:443' }))],
]

/** Words that no Dutch sentence has. */
const english =
  /\b(the|and|which|must|with|from|this|its|it|does|not|an|by|for|receiver|answered|redirects|could|may|address|requests?)\b/i

const attempt = {
  outcome: 'unreachable',
  errorClass: null,
  errorMessage: null,
  startedAt: new Date(0),
  durationMs: 5,
  phases: {},
  remoteAddress: null,
  request: { url: 'https://crm.example/', headers: {}, body: '{}' },
  response: null,
} as unknown as Attempt

test('a failed attempt is shown in Dutch only, for every failure', () => {
  for (const [what, { outcome, failure }] of verdicts) {
    const shown = attemptView(
      nl,
      { ...attempt, outcome, errorClass: failure!.errorClass, errorMessage: failure!.message },
      'operator',
    )
    expect(String(shown), what).not.toContain('lang="en"')
    const text = failureText(nl, failure!.message)
    expect(text, what).not.toBeNull()
    expect(
      text!.replaceAll(theirs, '').replace(/“.*?”|https?:\S+|\d{3} [A-Z]\w+( [A-Z]\w+)?/g, ''),
      what,
    ).not.toMatch(english)
    expect(failureText(en, failure!.message), what).toBeNull()
  }
})

test('every failure has a Dutch sentence with the same facts as the English one', () => {
  const read = readerOf(failureTexts)
  const facts = { status: '599', location: 'L0', message: 'M0', seconds: '17', target: 'T0', why: 'W0' }
  for (const code of Object.keys(failureTexts) as FailureCode[]) {
    const [english, dutch] = [failureTexts, failuresNl].map(texts => texts[code](facts as never))
    const found = read(english!)
    expect(found, code).toMatchObject({ code })
    expect(failureTexts[code](found!.facts as never), code).toBe(english)
    expect(dutch, code).not.toBe(english)
    for (const value of ['599', 'L0', 'M0', '17', 'T0'])
      expect(dutch!.includes(value), `${code} ${value}`).toBe(english!.includes(value))
  }
})

test('an unknown stored sentence is shown unchanged, marked as English', () => {
  const shown = attemptView(nl, { ...attempt, errorMessage: 'Something of before.' }, 'operator')
  expect(String(shown)).toContain('<p lang="en">Something of before.</p>')
})
