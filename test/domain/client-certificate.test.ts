import { generateKeyPairSync } from 'node:crypto'
import { beforeAll, expect, test } from 'vitest'
import { reasonInEnglish } from '../../src/domain/shown/reason.ts'
import { validateClientIdentity } from '../../src/domain/webhook/client-certificate.ts'
import { type Identity, makeAuthority } from '../support/certificates.ts'

const now = new Date()
let valid: Identity
let expired: Identity
let other: Identity
beforeAll(async () => {
  const authority = await makeAuthority()
  valid = await authority.certify('client.test')
  expired = await authority.certify('client.test', -1)
  other = await authority.certify('other.test')
})

const problemsOf = (certificate: string, key: string, at = now) => {
  const checked = validateClientIdentity({ certificate, key }, at)
  return checked.ok ? [] : checked.problems.map(({ field, reason }) => `${field}: ${reasonInEnglish(reason)}`)
}

test('a certificate and its key are shown by subject, fingerprint and end', () => {
  const chain = `${valid.cert}\n${other.cert}`
  for (const certificate of [valid.cert, chain])
    expect(validateClientIdentity({ certificate, key: valid.key }, now)).toEqual({
      ok: true,
      shown: {
        subject: 'CN=client.test',
        fingerprint: expect.stringMatching(/^([0-9A-F]{2}:){31}[0-9A-F]{2}$/),
        expiresAt: expect.any(Date),
      },
    })
})

test('each problem names its field, and no message contains the key', () => {
  expect(problemsOf('x', valid.key)).toEqual([
    expect.stringMatching(/^certificate: This is not a certificate/),
  ])
  expect(problemsOf('-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----', valid.key)).toHaveLength(
    1,
  )
  expect(problemsOf(valid.cert, 'x')).toEqual([expect.stringMatching(/^key: This is not a private key/)])
  expect(problemsOf(valid.cert, other.key)).toEqual([expect.stringMatching(/^key: The key does not belong/)])
  expect(problemsOf(expired.cert, expired.key)).toEqual([expect.stringMatching(/^certificate: .*expired at/)])
  expect(problemsOf(valid.cert, valid.key, new Date(0))).toEqual([expect.stringMatching(/valid only from/)])
  const { privateKey } = generateKeyPairSync('ed25519', {
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'hunter2' },
  })
  expect(problemsOf(valid.cert, privateKey)).toEqual([expect.stringMatching(/^key: .*openssl pkey/)])
})
