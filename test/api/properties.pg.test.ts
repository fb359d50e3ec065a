import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Operation } from '../../src/api/kit/document.ts'
import { roles } from '../../src/domain/access/role.ts'
import { hostileTexts, sensible, some, spoilt, valid } from '../support/arbitrary.ts'
import { document } from '../support/check-response.ts'
import { adminToken, openTestApi } from '../support/open-api.ts'

/**
 * Requests made from the document, right ones and spoilt ones. Whatever comes in: no failure of ours, an answer as
 * the document says (`check-response.ts` checks each), and no secret but where it belongs.
 */
let at: Awaited<ReturnType<typeof openTestApi>>
const known = { ids: [] as number[], secrets: [] as string[], tokens: [adminToken], events: [] as string[] }

beforeAll(async () => {
  // Every name is at loopback, where nothing listens: nothing is sent to anybody.
  at = await openTestApi({ resolve: async () => ['127.0.0.1'] })
  for (const name of hostileTexts
    .filter(text => text.trim() !== '' && text.length <= 200)
    .filter(text => text.isWellFormed() && !text.includes('\0'))) {
    const body = { name, url: 'https://127.0.0.1:1/', triggers: ['user.new', 'user.update'] }
    const { json } = await at.call('POST', '/api/webhooks', body)
    known.ids.push(json.id)
    known.secrets.push(json.secret)
  }
  for (const role of roles) known.tokens.push(await at.token(role))
  await at.append('user 1 new', 'user 2 update')
  const { rows } = await at.outbox.pool.query('select id from walhook.events')
  known.events = rows.map(({ id }) => String(id))
})
afterAll(() => at[Symbol.asyncDispose]())

const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({
    path,
    method,
    operation,
    name: operation.operationId,
  })),
)

type Call = { url: string; headers: Record<string, string>; body: unknown }

/** What a call by a token of no tenant needs, though the schema does not say it: else nearly all would be refused. */
const alsoGiven: Record<string, object> = { createSession: { tenant: 'acme' } }

function calls({ path, operation }: { path: string; operation: Operation }): fc.Arbitrary<Call> {
  const body = Object.values(operation.requestBody?.content ?? {})[0]?.schema
  const given =
    body && valid(body).map(value => Object.assign(value as object, alsoGiven[operation.operationId]))
  const bodies = given ? fc.oneof({ weight: 3, arbitrary: given }, spoilt(given)) : fc.constant(undefined)
  const part = ({ name, in: place, schema }: Operation['parameters'][number]) => {
    const usual = place === 'path' ? pathValue(name) : (sensible[name] ?? valid(schema)).map(String)
    return fc
      .oneof({ weight: 6, arbitrary: usual }, fc.constantFrom(...hostileTexts))
      .map(text => ({ name, place, text }))
  }
  const optional = operation.parameters.filter(({ required }) => !required).map(({ name }) => name)
  const parts = some(optional).chain(chosen =>
    fc.tuple(
      ...operation.parameters.filter(({ name, required }) => required || chosen.includes(name)).map(part),
    ),
  )
  const token = fc.constantFrom(adminToken, ...known.tokens)
  return fc.tuple(parts, bodies, token).map(([given, body, token]) => {
    const of = (place: string) => given.filter(one => one.place === place)
    const url = of('path').reduce((url, { name, text }) => url.replace(`{${name}}`, encoded(text)), path)
    const query = of('query')
      .map(({ name, text }) => `${name}=${encoded(text)}`)
      .join('&')
    const headers = of('header')
      .filter(({ text }) => /^[ -~]*$/.test(text))
      .map(({ name, text }) => [name, text])
    return {
      url: query === '' ? url : `${url}?${query}`,
      headers: { ...Object.fromEntries(headers), authorization: `Bearer ${token}` },
      body,
    }
  })
}

/** Mostly one that there is. */
function pathValue(name: string): fc.Arbitrary<string> {
  const there = name === 'event_id' ? known.events : known.ids.map(String)
  return fc.oneof(
    { weight: 4, arbitrary: fc.constantFrom(...there) },
    fc.integer({ min: -1, max: 2 ** 32 }).map(String),
  )
}

const encoded = (text: string) => encodeURIComponent(text.toWellFormed())

/** Where an answer may hold a secret: it says so in the document. */
function mayHoldSecret(operation: Operation): boolean {
  const schemas = Object.entries(operation.responses).filter(([status]) => status < '300')
  const written = JSON.stringify(schemas).replaceAll(/#\/components\/schemas\/(\w+)/g, (_, name) =>
    JSON.stringify(document.components.schemas[name]),
  )
  return /"(secret|secrets|token)":\{/.test(written)
}

test.each(operations)(
  '$name: the response to any input is as documented',
  async ({ path, method, operation, name }) => {
    const statuses = new Map<number, number>()
    await fc.assert(
      fc.asyncProperty(calls({ path, operation }), async ({ url, headers, body }) => {
        const response = await at.request(url, {
          method: method.toUpperCase(),
          headers,
          ...(body !== undefined && method !== 'get' && { body: JSON.stringify(body) }),
        })
        const text = await response.text()
        statuses.set(response.status, (statuses.get(response.status) ?? 0) + 1)
        expect(response.status, text).toBeLessThan(500)
        expect(response.headers.get('x-content-type-options')).toBe('nosniff')
        if (!mayHoldSecret(operation))
          for (const secret of [...known.secrets, ...known.tokens]) expect(text).not.toContain(secret)
        expect(text).not.toMatch(/v1:[0-9a-f]{8}:|select .+ from walhook|\bat .+\.ts:\d+/)
      }),
      { numRuns: 60 },
    )
    // A generator that makes nothing right would find nothing.
    const right = [...statuses].filter(([status]) => status < 300 || status === 409 || status === 404)
    expect(right.length, `${name}: ${JSON.stringify([...statuses])}`).toBeGreaterThan(0)
  },
)

test('HTML in a name stays text in responses and problems, with a content type that no browser renders', async () => {
  const name = '<img src=x onerror=alert(1)>'
  const wanted = { name, url: 'https://crm.example.com/', triggers: [name] }
  const problem = await at.call('POST', '/api/webhooks', wanted)
  expect(problem.json.detail).toContain(JSON.stringify(name))
  const made = await at.call('POST', '/api/webhooks', { ...wanted, triggers: ['user.new'] })
  expect(made.json.name).toBe(name)
  for (const { headers } of [problem, made, await at.call('GET', `/api/${encodeURIComponent(name)}`)]) {
    expect(headers.get('content-type')).toMatch(/^application\/(problem\+)?json/)
    expect(headers.get('x-content-type-options')).toBe('nosniff')
  }
})
