import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openSender } from '../../src/delivery/sending/attempt.ts'
import { createGuard } from '../../src/delivery/sending/guard.ts'
import type { ClientIdentity } from '../../src/domain/webhook/client-certificate.ts'
import { allowing } from '../domain/allowing.ts'
import { type Identity, makeAuthority, selfSigned } from '../support/certificates.ts'
import { startStrictReceiver } from '../support/strict-receiver.ts'

let authority: Awaited<ReturnType<typeof makeAuthority>>
let server: Identity
const usual = getCACertificates('default')
beforeAll(async () => {
  authority = await makeAuthority()
  server = await authority.certify('hook.test')
  setDefaultCACertificates([...usual, authority.cert])
})
afterAll(() => setDefaultCACertificates(usual))

function openTestSender() {
  const guard = createGuard({ allow: allowing('127.0.0.1'), resolve: async () => ['127.0.0.1'] })
  const sender = openSender({ guard, deadlineMs: 5_000, connectTimeoutMs: 2_000, maxResponseBytes: 1_024 })
  return { ...sender, [Symbol.asyncDispose]: sender.close }
}
const never = new AbortController().signal
const requestTo = (port: number, identity: ClientIdentity | null) => ({
  url: `https://hook.test:${port}/`,
  headers: { 'content-length': '2' },
  body: '{}',
  identity,
})
const identityOf = ({ cert, key }: Identity): ClientIdentity => ({ certificate: cert, key })

test.each(['TLSv1.2', 'TLSv1.3'] as const)(
  'over %s, a receiver that requests a client certificate gets it',
  async version => {
    await using receiver = await startStrictReceiver({ server, authority, maxVersion: version })
    await using sender = openTestSender()
    const [one, two] = [await authority.certify('one.test'), await authority.certify('two.test')]
    for (const [identity, name] of [
      [one, 'one.test'],
      [two, 'two.test'],
      [one, 'one.test'],
    ] as const)
      expect(await sender.post(requestTo(receiver.port, identityOf(identity)), never)).toMatchObject({
        outcome: 'delivered',
        response: { body: name },
      })
    // Each certificate has a connection of its own, which is used again.
    expect(receiver.sockets).toHaveLength(2)
  },
)

test('without a client certificate, the failure says that the receiver requires one', async () => {
  await using receiver = await startStrictReceiver({ server, authority })
  await using sender = openTestSender()
  for (let i = 0; i < 5; i++) {
    const { outcome, failure } = await sender.post(requestTo(receiver.port, null), never)
    expect(outcome).toBe('unreachable')
    expect(failure?.message).toContain('client certificate')
  }
  const { failure } = await sender.post(
    requestTo(receiver.port, identityOf(await selfSigned('nobody.test'))),
    never,
  )
  expect(failure?.errorClass).toMatch(/tls_error|connection_reset/)
})

test('a certificate that OpenSSL refuses fails the attempt, not the process', async () => {
  await using receiver = await startStrictReceiver({ server, authority })
  await using sender = openTestSender()
  const result = await sender.post(requestTo(receiver.port, { certificate: 'no', key: 'no' }), never)
  expect(result).toMatchObject({ outcome: 'unreachable', response: null })
})
