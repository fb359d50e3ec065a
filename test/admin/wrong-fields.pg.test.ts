import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import type { ShownPace } from '../../src/domain/delivery/pace.ts'
import { countWaiting } from '../../src/outbox/reading/queue-depth.ts'
import { openTestPages } from '../support/open-pages.ts'

let at: Awaited<ReturnType<typeof openTestPages>>
beforeAll(async () => {
  at = await openTestPages()
})
afterAll(() => at[Symbol.asyncDispose]())

const waiting = async (id: number) => (await countWaiting(at.outbox, id, 100)).count

test.each([
  ['cancel', { event_id: 'not-a-number' }, 'event_id'],
  ['cancel', { event_id: '' }, 'event_id'],
  ['cancel', { event_id: '9'.repeat(19) }, 'event_id'],
  ['cancel', {}, 'all'],
  ['cancel', { all: 'yes' }, 'all'],
  ['cancel', { all: 'true', event_id: '1' }, 'all'],
  ['resend-failed', {}, 'from'],
  ['resend-failed', { from: 'yesterday' }, 'from'],
  ['resend-failed', { from: '1', to: 'x', after_type: 'user', after_id: '1' }, 'to'],
  ['resend-failed', { from: '1', after_type: 'user', after_id: '1' }, 'to'],
  ['resend', { key: 'a', event_id: 'x', attempt_id: '1' }, 'event_id'],
  ['resend', { key: 'b', attempt_id: '-1' }, 'attempt_id'],
  ['resend', { key: 'c', event_id: '1', beyond_triggers: 'maybe' }, 'beyond_triggers'],
  ['active', { is_active: 'perhaps' }, 'is_active'],
  ['active', {}, 'is_active'],
])('a form for %s with %j is refused at %s without an effect', async (action, form, field) => {
  const { json } = await at.call('POST', '/api/webhooks', {
    name: 'CRM',
    url: 'https://crm.example.com/',
    triggers: ['user.new'],
  })
  await at.append('user 1 new')
  const before = await waiting(json.id)
  expect(before).toBeGreaterThan(0)
  const answer = await at.post(`/couplings/${json.id}/${action}`, form as Record<string, string>)
  expect(answer.status).toBe(422)
  expect(answer.text).toContain(`The field ${field} has an unexpected value`)
  expect(await waiting(json.id)).toBe(before)
  expect((await at.call('GET', `/api/webhooks/${json.id}`)).json.is_active).toBe(true)
  await at.call('DELETE', `/api/webhooks/${json.id}`)
})

test.each([
  ['/audit?webhook=x', 'webhook'],
  ['/audit?before=x', 'before'],
  ['/events?before=x', 'before'],
  ['/couplings/ID/resend-failed?since=ever', 'since'],
])('the wrong filter %s shows nothing, rather than everything', async (path, field) => {
  const { json } = await at.call('POST', '/api/webhooks', {
    name: 'CRM',
    url: 'https://crm.example.com/',
    triggers: ['user.new'],
  })
  const answer = await at.get(path.replace('ID', json.id))
  expect(answer.status).toBe(422)
  expect(answer.text).toContain(`The field ${field} has an unexpected value`)
})

test('an unreadable filter is an error, and nothing is filtered', async () => {
  const { json } = await at.call('POST', '/api/webhooks', {
    name: 'CRM',
    url: 'https://crm.example.com/',
    triggers: ['user.new'],
  })
  for (const query of ['outcome=refusd', 'trigger=x'])
    expect((await at.get(`/couplings/${json.id}/log?${query}`)).text).toContain(
      'Choose an option from the list.',
    )
})

test('Enter in the webhook form saves; testing has its own button', async () => {
  const { json } = await at.call('POST', '/api/webhooks', {
    name: 'CRM',
    url: 'https://crm.example.com/',
    triggers: ['user.new'],
  })
  for (const path of ['/couplings/new', `/couplings/${json.id}`]) {
    const { text } = await at.get(path)
    const form = text.slice(text.indexOf('class="coupling-form"'))
    const buttons = [...form.matchAll(/<button[^>]*>/g)].map(([tag]) => tag)
    expect(buttons[0]).not.toMatch(/formaction|hx-post|type=/)
    expect(buttons.filter(tag => /formaction="[^"]*try"/.test(tag))).toHaveLength(1)
  }
})

test('the form names the entity types without previous values, and the fix', async () => {
  const sql = 'alter table "public"."users" replica identity full;'
  const untold = Object.assign(at.control, { readWithoutPrevious: async () => new Map([['user', sql]]) })
  expect((await at.get('/couplings/new')).text).toContain(
    'alter table &quot;public&quot;.&quot;users&quot; replica identity full;',
  )
  // Where REPLICA IDENTITY FULL alone would make the application's own UPDATE fail, it is not advised.
  Object.assign(untold, { readWithoutPrevious: async () => new Map([['user', null]]) })
  const { text } = await at.get('/couplings/new')
  expect(text).toContain('walhook check')
  expect(text).not.toContain('replica identity')
  Object.assign(untold, { readWithoutPrevious: async () => new Map() })
  expect((await at.get('/couplings/new')).text).not.toContain('replica identity')
})

test('a pause that a receiver requested is shown on its page and in the API until it ends, also for a failing webhook', async () => {
  const { json } = await at.call('POST', '/api/webhooks', {
    name: 'CRM',
    url: 'https://crm.example.com/',
    triggers: ['user.new'],
  })
  const hold = async (seconds: number) =>
    await at.outbox.pool.query(
      `update walhook.webhooks set held_until = now() + $2 * interval '1 s', failing_since = now(), failed_for_ms = 0, failed_at = now()
       where id = $1`,
      [json.id, seconds],
    )
  await hold(1_800)
  expect((await at.get(`/couplings/${json.id}`)).text).toContain('asked for a pause of 30 min')
  expect((await at.call('GET', `/api/webhooks/${json.id}`)).json.held_until).toMatch(/Z$/)
  await hold(-1)
  expect((await at.get(`/couplings/${json.id}`)).text).not.toContain('asked for a pause')
  expect((await at.call('GET', `/api/webhooks/${json.id}`)).json.held_until).toBeNull()
})

test('the pages and the API show the sending pace of a webhook whose receiver had trouble', async () => {
  const fields = { name: 'CRM', url: 'https://crm.example.com/', triggers: ['user.new'] }
  const { json } = await at.call('POST', '/api/webhooks', fields)
  const path = `/api/webhooks/${json.id}`
  const show = (pace: ShownPace | null) => Object.assign(at.control, { paceOf: () => pace })
  onTestFinished(() => void show(null))
  const pages = async () =>
    Promise.all(['', '/log'].map(async page => (await at.get(`/couplings/${json.id}${page}`)).text))
  expect((await at.call('GET', path)).json).not.toHaveProperty('pace')

  show({ limit: 100, pausedForMs: 0 })
  for (const text of await pages()) expect(text).not.toContain('down or overloaded')
  const pace = { requests_at_once: 100, at_most: 100, paused_for_ms: 0 }
  expect((await at.call('GET', path)).json.pace).toEqual(pace)

  show({ limit: 3, pausedForMs: 0 })
  for (const text of await pages()) expect(text).toContain('at most 3 requests at once (usually 100)')
  show({ limit: 1, pausedForMs: 3_999.5 })
  for (const text of await pages()) expect(text).toContain('walhook sends one request in 4 seconds')
  expect((await at.call('GET', path)).json.pace).toEqual({
    requests_at_once: 1,
    at_most: 100,
    paused_for_ms: 4_000,
  })
})

test.each<[string, string]>([
  ['previous', 'false'],
  ['traceparent', 'false'],
  ['batch', 'off'],
  ['no_certificate', 'false'],
  ['log_bodies', 'nothing'],
  ['is_active', 'yes'],
  ['trigger', 'user.nwe'],
  ['all', 'users'],
  ['name', 'twice'],
  ['triggers', 'user.new'],
])('%s=%s in the webhook form is an error', async (field, value) => {
  const { json } = await at.call('POST', '/api/webhooks', {
    name: 'CRM',
    url: 'https://crm.example.com/',
    triggers: ['user.new'],
  })
  const form = [
    ['name', 'ERP'],
    ['url', 'https://crm.example.com/'],
    ['trigger', 'user.new'],
    ['version', '1'],
    [field, value],
  ] as [string, string][]
  for (const path of [
    '/couplings/new',
    '/couplings/try',
    `/couplings/${json.id}`,
    `/couplings/${json.id}/try`,
  ]) {
    const answer = await at.post(path, form)
    expect({ path, status: answer.status }).toEqual({ path, status: 422 })
    expect(answer.text).toContain(`The field ${field} has an unexpected value`)
  }
  const { json: after } = await at.call('GET', `/api/webhooks/${json.id}`)
  expect(after).toEqual({ ...json, secret: undefined })
})
