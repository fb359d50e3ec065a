import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { waiters } from '../support/open-outbox.ts'
import { openTestPages } from '../support/open-pages.ts'
import { until } from '../support/wait.ts'

let at: Awaited<ReturnType<typeof openTestPages>>
beforeAll(async () => {
  at = await openTestPages()
})
afterAll(() => at[Symbol.asyncDispose]())
afterEach(() => at.outbox.pool.query('delete from walhook.webhooks'))

const crm = { url: 'https://crm.example.com/hooks', triggers: ['user.new'] }
const apply = (webhooks: object, more: object = {}) =>
  at.call('POST', '/api/apply', { source: 'a.yaml', webhooks, ...more })
const all = async () => (await at.call('GET', '/api/webhooks')).json.data

test('a managed webhook needs a confirmation to be changed or deleted; after a takeover it is edited on the pages', async () => {
  const applied = await apply({ CRM: crm })
  expect(applied.json).toMatchObject({
    applied: true,
    webhooks: [{ name: 'CRM', action: 'create', secret: expect.stringMatching(/^whsec_/) }],
  })
  const path = `/api/webhooks/${applied.json.webhooks[0].id}`
  for (const [method, body] of [
    ['PATCH', { name: 'ERP' }],
    ['DELETE', undefined],
  ] as const) {
    const refused = await at.call(method, path, body)
    expect(refused.status).toBe(409)
    expect(refused.json).toMatchObject({ code: 'webhook.managed' })
    expect(refused.json.detail).toContain('a.yaml')
  }
  expect((await at.call('PATCH', `${path}?force=true`, { is_active: false })).json).toMatchObject({
    is_active: false,
    managed_by: 'a.yaml',
  })
  expect((await apply({ CRM: crm }, { dry_run: true })).json.webhooks[0].differences).toEqual([
    { field: 'is_active', from: false, to: true },
  ])
  const taken = await at.call('PATCH', path, { managed_by: null, name: 'ERP' })
  expect(taken.json).not.toHaveProperty('managed_by')
  expect((await at.call('PATCH', path, { name: 'CRM' })).status).toBe(200)
  // Taken out of the file's hands, it is not deleted by it.
  expect((await apply({}, { prune: true })).json.webhooks).toEqual([])
  expect((await at.call('PATCH', path, { managed_by: 'b.yaml' })).status).toBe(422)
  expect(await all()).toMatchObject([{ name: 'CRM' }])
  const audit = await at.call('GET', '/api/audit')
  expect(audit.json.data.map(({ action }: { action: string }) => action)).toContain('webhooks.applied')
})

test('a problem in one webhook stops the whole apply; its pointer names the field', async () => {
  const refused = await apply({
    CRM: crm,
    'a/b': {
      ...crm,
      url: 'crm',
      triggers: ['user.gone'],
      batch: { max_events: 1, max_wait_ms: 0 },
      haeders: {},
    },
    ' odd ': crm,
  })
  expect(refused.status).toBe(422)
  expect(refused.json.errors.map(({ pointer }: { pointer: string }) => pointer).sort()).toEqual([
    '/webhooks/ odd ',
    '/webhooks/a~1b/batch/max_events',
    '/webhooks/a~1b/haeders',
    '/webhooks/a~1b/triggers/0',
    '/webhooks/a~1b/url',
  ])
  expect(refused.text).toContain('Did you mean headers')
  expect(await all()).toEqual([])
})

test('a failure in the middle of an apply rolls back everything', async () => {
  await apply({ A: crm, B: crm })
  await at.outbox.pool.query(`
    create or replace function walhook.refuse_b() returns trigger language plpgsql as $$
    begin if new.name = 'B' and new.mode = 'latest' then raise exception 'refused by the test'; end if; return new; end $$;
    create trigger refuse_b before update on walhook.webhooks for each row execute function walhook.refuse_b()`)
  const failed = await apply({ A: { ...crm, mode: 'latest' }, B: { ...crm, mode: 'latest' }, C: crm })
  await at.outbox.pool.query('drop trigger refuse_b on walhook.webhooks; drop function walhook.refuse_b()')
  expect(failed.status).toBe(500)
  expect((await all()).map(({ name, mode }: { name: string; mode: string }) => `${name} ${mode}`)).toEqual([
    'A every',
    'B every',
  ])
})

test('a webhook that walhook disabled stays disabled, although the file says active', async () => {
  await apply({ CRM: crm })
  await at.outbox.pool.query(`update walhook.webhooks set disabled_at = now(), disabled_reason = 'gone'`)
  expect((await apply({ CRM: crm })).json.webhooks).toMatchObject([{ action: 'none' }])
  expect(await all()).toMatchObject([{ disabled_reason: 'gone' }])
})

test('the pages show which file manages a webhook, are read-only for it, and let an admin take it over', async () => {
  const [{ id }] = (await apply({ CRM: crm })).json.webhooks
  const page = await at.get(`/couplings/${id}`)
  expect(page.text).toContain('This webhook is managed as code, in a.yaml')
  expect(page.text).toMatch(/<fieldset class="plain" disabled>/)
  expect(page.text).not.toContain('Save changes')
  expect((await at.get(`/couplings/${id}`, 'viewer')).text).not.toContain('take-over')
  expect((await at.get(`/couplings/${id}`, 'admin', { 'accept-language': 'nl' })).text).toContain(
    'als code beheerd, in a.yaml',
  )
  const list = await at.get('/couplings')
  expect(list.text).toContain('As code')
  expect(list.text).not.toContain('role="switch"')
  for (const [path, form] of [
    ['active', { is_active: 'false' }],
    ['delete', {}],
  ] as const) {
    const refused = await at.post(`/couplings/${id}/${path}`, form)
    expect(refused.status).toBe(409)
    expect(refused.text).toContain('a.yaml')
  }
  expect((await at.post(`/couplings/${id}/take-over`, {}, 'operator')).status).toBe(403)
  expect((await at.post(`/couplings/${id}/take-over`, {})).headers.get('location')).toBe(
    `/couplings/${id}?done=taken`,
  )
  const taken = await at.get(`/couplings/${id}?done=taken`)
  expect(taken.text).toContain('You now manage this webhook here.')
  expect(taken.text).toContain('Save changes')
})

test('a file holds a thousand webhooks', async () => {
  const many = Object.fromEntries(Array.from({ length: 1_000 }, (_, i) => [`Partner ${i}`, crm]))
  const { status, json } = await apply(many, { dry_run: true })
  expect({ status, steps: json.webhooks?.length }).toEqual({ status: 200, steps: 1_000 })
})

const alert = { ...crm, triggers: ['webhook.failing'] }

test('a tenant applies its own file without affecting equally named webhooks of others', async () => {
  const acme = await at.token('admin', { tenant: 'acme' })
  const ofAcme = (webhooks: object, more: object = {}) =>
    at.call('POST', '/api/apply', { source: 'a.yaml', webhooks, ...more }, acme)
  await apply({ CRM: crm, Bravo: { ...alert, tenant: 'bravo' } })
  expect((await ofAcme({ CRM: alert })).json.webhooks).toMatchObject([{ name: 'CRM', action: 'create' }])
  expect((await ofAcme({ CRM: { ...alert, tenant: 'bravo' } })).status).toBe(422)
  expect((await ofAcme({}, { prune: true })).json.webhooks).toMatchObject([{ name: 'CRM', action: 'delete' }])
  await ofAcme({ CRM: alert })
  expect((await apply({ CRM: crm }, { prune: true })).json.webhooks).toMatchObject([
    { name: 'CRM', action: 'none' },
    { name: 'Bravo', action: 'delete' },
  ])
  expect(
    (await all()).map(({ name, tenant }: { name: string; tenant: string }) => `${name} ${tenant}`),
  ).toEqual(['CRM null', 'CRM acme'])
})

test('a webhook moved to another tenant is created there and deleted here; the new secret is shown', async () => {
  await apply({ CRM: { ...alert, tenant: 'acme' } })
  const moved = await apply({ CRM: { ...alert, tenant: 'bravo' } }, { prune: true })
  const [made, gone] = moved.json.webhooks
  expect(made).toMatchObject({ action: 'create', secret: expect.stringMatching(/^whsec_/) })
  expect(gone).toMatchObject({ action: 'delete' })
  expect(gone).not.toHaveProperty('secret')
})

test('an apply of several webhooks and a settlement of one of them end one after the other, in either order', async () => {
  const wish = (url: string) => ({ A: { ...crm, url }, B: { ...crm, url } })
  const { webhooks } = (await apply(wish('https://crm.example.com/1'))).json
  const [, second] = webhooks.map(({ id }: { id: number }) => id)
  // As a settlement does: first the webhooks whose health may change, then what changes their version.
  const client = await at.outbox.pool.connect()
  try {
    await client.query('begin')
    await client.query('select from walhook.webhooks where id = $1 for no key update', [second])
    const applied = apply(wish('https://crm.example.com/2'))
    await until(async () => (await waiters(at)) > 0, { what: 'the apply to wait' })
    await client.query(`update walhook.webhooks set held_until = now() + interval '1 s' where id = $1`, [
      second,
    ])
    await client.query('commit')
    expect((await applied).status).toBe(200)
  } finally {
    client.release(true)
  }
})
