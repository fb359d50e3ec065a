import { afterAll, beforeAll, expect, test } from 'vitest'
import { commandLine } from '../../src/control/kit/control.ts'
import { transaction } from '../../src/outbox/database/database.ts'
import { recordAudit } from '../../src/outbox/records/audit.ts'
import { insertWebhook } from '../../src/outbox/records/webhooks.ts'
import { openTestApi } from '../support/open-api.ts'

let at: Awaited<ReturnType<typeof openTestApi>>
beforeAll(async () => {
  at = await openTestApi()
})
afterAll(() => at[Symbol.asyncDispose]())

const wanted = { name: 'CRM', url: 'https://crm.example.com/hooks', triggers: ['user.new'] }
const create = async () => (await at.call('POST', '/api/webhooks', wanted)).json
const auditOf = async (id: number) => (await at.call('GET', `/api/audit?webhook_id=${id}`)).json.data

test('every change of a webhook is audited with actor, time, old and new values, and no secret', async () => {
  const { id, secret } = await create()
  await at.call('PATCH', `/api/webhooks/${id}`, { name: 'ERP', is_active: false, triggers: ['user.new'] })
  await at.call('DELETE', `/api/webhooks/${id}`)
  const actor = { kind: 'configuration', name: 'WALHOOK_ADMIN_TOKEN', token_id: null, user_id: '7' }
  const records = await auditOf(id)
  const record = {
    id: expect.any(String),
    at: expect.any(String),
    actor,
    target_id: String(id),
    webhook_id: id,
    tenant: null,
  }
  expect(records).toEqual([
    {
      ...record,
      action: 'webhook.deleted',
      changes: expect.objectContaining({ name: { from: 'ERP' }, is_active: { from: false } }),
    },
    {
      ...record,
      action: 'webhook.changed',
      changes: { name: { from: 'CRM', to: 'ERP' }, is_active: { from: true, to: false } },
    },
    {
      ...record,
      action: 'webhook.created',
      changes: expect.objectContaining({
        name: { to: 'CRM' },
        url: { to: wanted.url },
        triggers: { to: ['user.new'] },
      }),
    },
  ])
  const { rows } = await at.outbox.pool.query('select changes::text from walhook.audit')
  expect(JSON.stringify(rows)).not.toMatch(/whsec_|v1:/)
  expect(JSON.stringify(rows)).not.toContain(secret.slice(6))
})

test('a refused change and an unknown webhook are not audited', async () => {
  const { id } = await create()
  const before = await at.count('audit')
  expect((await at.call('PATCH', `/api/webhooks/${id}`, { name: '' })).status).toBe(422)
  expect((await at.call('PATCH', '/api/webhooks/999999', { name: 'a' })).status).toBe(404)
  expect((await at.call('DELETE', '/api/webhooks/999999')).status).toBe(404)
  expect(await at.count('audit')).toBe(before)
})

test('a change that cannot be audited is rolled back', async () => {
  const { id } = await create()
  await at.outbox.pool.query(
    `alter table walhook.audit add constraint none check (action <> 'webhook.changed') not valid`,
  )
  try {
    expect((await at.call('PATCH', `/api/webhooks/${id}`, { name: 'ERP' })).status).toBe(500)
  } finally {
    await at.outbox.pool.query('alter table walhook.audit drop constraint none')
  }
  expect((await at.call('GET', `/api/webhooks/${id}`)).json.name).toBe('CRM')
})

test('an audit record is committed or rolled back with its transaction', async () => {
  const count = async () => [await at.count('webhooks'), await at.count('audit')]
  const before = await count()
  const work = transaction(at.outbox.pool, async client => {
    const { id } = await insertWebhook(client, {
      ...wanted,
      isActive: true,
      secret: 'v1:sealed',
      triggers: ['user.new'],
    })
    await recordAudit(client, commandLine, 'webhook.created', { webhookId: id })
    throw new Error('changed my mind')
  })
  await expect(work).rejects.toThrow('changed my mind')
  expect(await count()).toEqual(before)
})

test('the audit names each kind of caller', async () => {
  const made = { name: 'CI', userId: '8' }
  const token = await at.token('admin', made)
  const { json } = await at.call('GET', '/api/audit?limit=1')
  expect(json.data[0]).toMatchObject({
    actor: { kind: 'command line', name: 'command line', token_id: null, user_id: null },
    action: 'token.created',
    webhook_id: null,
    tenant: null,
    changes: {
      name: { to: 'CI' },
      role: { to: 'admin' },
      tenant: { to: null },
      user_id: { to: '8' },
      expires_at: { to: null },
    },
  })
  const { id } = (await at.call('POST', '/api/webhooks', wanted, token)).json
  expect((await auditOf(id))[0].actor).toEqual({
    kind: 'token',
    name: 'CI',
    token_id: Number(json.data[0].target_id),
    user_id: '8',
  })
})

test('audit records have pages, newest first', async () => {
  const { id } = await create()
  for (const name of ['a', 'b', 'c']) await at.call('PATCH', `/api/webhooks/${id}`, { name })
  const names = (data: { changes: { name: { to: string } } }[]) => data.map(one => one.changes.name.to)
  const first = (await at.call('GET', `/api/audit?webhook_id=${id}&limit=2`)).json
  expect(names(first.data)).toEqual(['c', 'b'])
  const second = (await at.call('GET', `/api/audit?webhook_id=${id}&limit=2&cursor=${first.next_cursor}`))
    .json
  expect(names(second.data)).toEqual(['a', 'CRM'])
  expect(second.next_cursor).toBeNull()
})
