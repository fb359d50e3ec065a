import { afterAll, beforeAll, expect, test } from 'vitest'
import { openTestPages } from '../support/open-pages.ts'

/** What is wrong with a form: all at once, above it with links, and tied to the fields. */
let at: Awaited<ReturnType<typeof openTestPages>>
let id: number
beforeAll(async () => {
  at = await openTestPages({ hasTenants: true })
  const fields = { name: 'CRM', url: 'https://crm.example.com/', triggers: ['user.new'] }
  id = (await at.call('POST', '/api/webhooks', fields)).json.id
})
afterAll(() => at[Symbol.asyncDispose]())

/** Every field of the form of a webhook that can be wrong, wrong. */
const allWrong: readonly (readonly [string, string])[] = [
  ['version', '1'],
  ['key', 'a'.repeat(32)],
  ['name', ''],
  ['url', 'ftp://x'],
  ['is_active', 'true'],
  ['alert_to', 'nobody'],
  ['header_name', 'host'],
  ['header_value', 'x'],
  ['client_certificate', 'x'],
  ['client_key', 'y'],
  ['batch', 'on'],
  ['max_events', '1'],
  ['max_wait_ms', '70000'],
  ['update_field', 'user.nothing'],
  ['filter_field', 'user.nothing'],
  ['filter_values', 'x'],
  ['filter_entering', 'new'],
  ['filter_leaving', 'delete'],
]
const wrongFields = [
  ...['name', 'url', 'triggers', 'max_events', 'max_wait_ms', 'alert_to', 'update_fields', 'filter_field-0'],
  ...['filter_entering', 'filter_leaving', 'header_name-0', 'client_certificate', 'client_key'],
]

const linksOf = (text: string) =>
  [...text.matchAll(/<li><a href="#([^"]+)">([^<]+)<\/a><\/li>/g)].map(([, field]) => field!)

/** Each link leads to an element that says that it is wrong, and is described by a text that is there. */
function expectTied(text: string): void {
  for (const field of linksOf(text)) {
    const element = new RegExp(`<(?:input|select|textarea)[^>]* id="${field}"[^>]*>`).exec(text)?.[0] ?? ''
    expect({ field, element }).toEqual({ field, element: expect.stringContaining('aria-invalid="true"') })
    const by = /aria-describedby="([^"]+)"/.exec(element)?.[1]?.split(' ') ?? []
    expect({ field, by }).toEqual({ field, by: expect.arrayContaining([`${field}-problem`]) })
    for (const one of by) expect(text).toContain(`id="${one}"`)
    expect(text).toMatch(new RegExp(`id="${field}-problem"[^>]*><p class="problem">[^<]+`))
  }
}

test.each(['new', 'stored'])('all wrong fields of a %s webhook are named at once', async which => {
  const of = which === 'new' ? 'new' : String(id)
  const form = which === 'new' ? [...allWrong, ['tenant', 'x'.repeat(300)] as const] : allWrong
  const { status, text } = await at.post(`/couplings/${of}`, form)
  expect(status).toBe(422)
  expect(new Set(linksOf(text))).toEqual(new Set([...wrongFields, ...(which === 'new' ? ['tenant'] : [])]))
  expect(text).toMatch(/id="errors" role="alert" tabindex="-1" autofocus/)
  expectTied(text)
  // Of a group each box says so.
  expect(text.match(/name="trigger"[^>]*aria-invalid="true"/g)!.length).toBeGreaterThanOrEqual(6)
  const rest = which === 'new' ? '/couplings' : `/couplings/${of}`
  const checked = await at.post(`${rest}/validate`, form)
  expect(checked.status).toBe(200)
  expect(linksOf(checked.text)).toEqual(linksOf(text))
})

test('a corrected field loses its error, and validation saves nothing', async () => {
  const mended = allWrong
    .filter(([name]) => !/^(filter|update_field|client|header|alert|batch)/.test(name))
    .map(([name, value]) => [name, name === 'name' ? 'Renamed' : value] as const)
  const checked = await at.post(`/couplings/${id}/validate`, [...mended, ['trigger', 'user.update']])
  expect(linksOf(checked.text)).toEqual(['url'])
  expect((await at.call('GET', `/api/webhooks/${id}`)).json).toMatchObject({
    name: 'CRM',
    triggers: ['user.new'],
  })
  const unknown = await at.post(`/couplings/${id}/validate`, [['nothing', 'x']])
  expect(unknown.status).toBe(422)
  for (const path of ['/couplings/validate', `/couplings/${id}/validate`])
    expect((await at.post(path, allWrong, 'operator')).status).toBe(403)
})

test('errors link to a filter row without values, and to the second of two headers', async () => {
  const base = allWrong.filter(([name]) => /^(version|key|is_active)$/.test(name))
  const { text } = await at.post('/couplings/new', [
    ...base,
    ...([
      ['name', 'A'],
      ['url', 'https://crm.example.com/'],
      ['trigger', 'user.new'],
      ['header_name', 'x-fine'],
      ['header_value', 'x'],
      ['header_name', 'content-length'],
      ['header_value', '1'],
      ['filter_field', 'user.company_role'],
      ['filter_values', 'Host'],
      ['filter_field', 'user.company_role'],
      ['filter_values', ''],
    ] as const),
  ])
  expect(linksOf(text)).toEqual(['filter_field-1', 'header_name-1'])
  expectTied(text)
})

test.each([
  [
    '/tokens/new',
    { name: '', role: 'boss', user_id: '\0', tenant: '\0', expires: 'day', day: 'x' },
    ['name', 'tenant', 'day', 'user_id', 'role-viewer'],
  ],
  ['/tokens/new', { name: 'x', role: 'viewer', expires: 'soon' }, ['expires']],
  ['/couplings/ID/secret/rotate', { overlap_hours: '200' }, ['overlap_hours']],
  ['/couplings/ID/test', { user_id: '999' }, ['user_id']],
])('the form of %s with %j links to its wrong fields', async (path, form, fields) => {
  const answer = await at.post(path.replace('ID', String(id)), form as unknown as Record<string, string>)
  expect(answer.status).toBe(422)
  expect(new Set(linksOf(answer.text))).toEqual(new Set(fields))
  expectTied(answer.text)
  if (path !== '/tokens/new') return
  expect(
    linksOf((await at.post('/tokens/validate', form as unknown as Record<string, string>)).text),
  ).toEqual(linksOf(answer.text))
})

test.each([
  [
    '/couplings/ID/log?outcome=x&trigger=x&entity_type=user&from=x&to=y',
    ['outcome', 'trigger', 'entity_id', 'from', 'to'],
  ],
  ['/couplings/ID/replay?from=&to=x', ['from', 'to']],
  ['/couplings/ID/replay?from=2026-01-01T00:00&to=&trigger=x', ['trigger']],
  ['/couplings/ID/backfill?entity_type=x&rows_per_second=0', ['entity_type', 'rows_per_second']],
  ['/events?state=x&action=x&from=x&to=y', ['state', 'action', 'from', 'to']],
  ['/events?entity_type=&entity_id=1', ['entity_type']],
])('the address %s links to its wrong fields', async (path, fields) => {
  const answer = await at.get(path.replace('ID', String(id)))
  expect(answer.status).toBe(422)
  expect(new Set(linksOf(answer.text))).toEqual(new Set(fields))
  expectTied(answer.text)
})
