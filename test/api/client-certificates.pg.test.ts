import { randomBytes } from 'node:crypto'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { commandLine } from '../../src/control/kit/control.ts'
import { rekey } from '../../src/control/webhooks/secrets.ts'
import { parseSealKey } from '../../src/domain/webhook/seal.ts'
import { openIdentity } from '../../src/domain/webhook/webhook-secrets.ts'
import { readDeliverySettings } from '../../src/outbox/holders/delivery-settings.ts'
import { findSealed } from '../../src/outbox/records/secrets.ts'
import { type Identity, makeAuthority } from '../support/certificates.ts'
import { openTestApi } from '../support/open-api.ts'
import { startStrictReceiver } from '../support/strict-receiver.ts'

let at: Awaited<ReturnType<typeof openTestApi>>
let receiver: Awaited<ReturnType<typeof startStrictReceiver>>
let client: Identity
let other: Identity
let url: string
const usual = getCACertificates('default')
beforeAll(async () => {
  const authority = await makeAuthority()
  setDefaultCACertificates([...usual, authority.cert])
  client = await authority.certify('client.test')
  other = await authority.certify('other.test')
  receiver = await startStrictReceiver({ server: await authority.certify('hook.test'), authority })
  at = await openTestApi({ resolve: async () => ['127.0.0.1'] })
  url = `https://hook.test:${receiver.port}/`
})
afterAll(async () => {
  setDefaultCACertificates(usual)
  await receiver[Symbol.asyncDispose]()
  await at[Symbol.asyncDispose]()
})

const create = (change: object = {}) =>
  at.call('POST', '/api/webhooks', { name: 'CRM', url, triggers: ['user.new'], ...change })
const testOf = async (id: number) => (await at.call('POST', `/api/webhooks/${id}/test`, { user_id: 7 })).json
const given = ({ cert, key }: Identity) => ({ client_certificate: cert, client_key: key })

test('a webhook sends its client certificate, which can be shown without its key, replaced and removed', async () => {
  const bare = (await create()).json
  expect(bare).not.toHaveProperty('client_certificate')
  expect((await testOf(bare.id)).error.message).toContain('client certificate')

  const made = await create(given(client))
  expect(made.status, made.text).toBe(201)
  const { id } = made.json
  const shown = { subject: 'CN=client.test', fingerprint: expect.any(String), expires_at: expect.any(String) }
  expect(made.json.client_certificate).toEqual(shown)
  const read = await at.call('GET', `/api/webhooks/${id}`)
  expect(read.json.client_certificate).toEqual(shown)
  expect(await testOf(id)).toMatchObject({ outcome: 'delivered', response: { body: 'client.test' } })
  const { webhooks } = await readDeliverySettings(at.outbox, { sinceVersion: 0, ids: new Set() })
  expect(webhooks.find(webhook => webhook.id === id)?.sealed.identity).toMatch(/^v1:/)

  const changed = await at.call('PATCH', `/api/webhooks/${id}`, given(other))
  expect(changed.json.client_certificate.subject).toBe('CN=other.test')
  expect(await testOf(id)).toMatchObject({ response: { body: 'other.test' } })
  await at.call('PATCH', `/api/webhooks/${id}`, { name: 'CRM 2' })
  expect(await testOf(id)).toMatchObject({ response: { body: 'other.test' } })

  const audit = (await at.call('GET', '/api/audit?limit=10')).text
  const { rows } = await at.outbox.pool.query('select w::text as row from walhook.webhooks w')
  for (const text of [made.text, read.text, changed.text, audit, JSON.stringify(rows)])
    for (const { key } of [client, other]) {
      expect(text).not.toContain('PRIVATE KEY')
      expect(text).not.toContain(key.split('\n')[1])
    }
  const gone = await at.call('PATCH', `/api/webhooks/${id}`, { client_certificate: null, client_key: null })
  expect(gone.json).not.toHaveProperty('client_certificate')
  expect((await testOf(id)).outcome).toBe('unreachable')
})

test.each<[string, () => object, string]>([
  ['a certificate alone', () => ({ client_certificate: client.cert }), '/client_key'],
  ['a key alone', () => ({ client_key: client.key }), '/client_certificate'],
  ["another's key", () => ({ client_certificate: client.cert, client_key: other.key }), '/client_key'],
  ['no certificate', () => ({ client_certificate: 'x', client_key: client.key }), '/client_certificate'],
])('%s is refused', async (_what, change, pointer) => {
  const { status, json, text } = await create(change())
  expect(status).toBe(422)
  expect(json.errors.map((error: { pointer: string }) => error.pointer)).toEqual([pointer])
  expect(text).not.toContain('PRIVATE KEY')
})

test("the certificate is removed when the URL's origin changes, and kept otherwise", async () => {
  const { id } = (await create(given(client))).json
  const at2 = await at.call('PATCH', `/api/webhooks/${id}`, { url: `${url}other` })
  expect(at2.json.client_certificate.subject).toBe('CN=client.test')
  const elsewhere = await at.call('PATCH', `/api/webhooks/${id}`, { url: 'https://elsewhere.test/' })
  expect(elsewhere.json).not.toHaveProperty('client_certificate')
})

test("the certificate's key is re-encrypted with the other secrets", async () => {
  const { id } = (await create(given(client))).json
  const oldKey = parseSealKey(Buffer.alloc(32, 1).toString('base64'))!
  const newKey = parseSealKey(Buffer.alloc(32, 9).toString('base64'))!
  const both = { ...newKey, older: oldKey }
  expect(await rekey({ outbox: at.outbox, sealKey: both, randomBytes }, commandLine)).toMatchObject({
    ok: true,
  })
  const { identity } = (await findSealed(at.outbox.pool, id))!
  expect(openIdentity(newKey, id, identity)).toEqual({
    ok: true,
    identity: { certificate: client.cert, key: client.key },
  })
  // It opens for no other webhook.
  expect(openIdentity(newKey, id + 1, identity).ok).toBe(false)
})
