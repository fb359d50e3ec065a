import { afterAll, beforeAll, expect, test } from 'vitest'
import type { z } from 'zod'
import { routes } from '../../src/api/routes.ts'
import { openTestApi } from '../support/open-api.ts'

let at: Awaited<ReturnType<typeof openTestApi>>
let id: number
beforeAll(async () => {
  at = await openTestApi()
  id = await at.webhook(['user.new'])
})
afterAll(() => at[Symbol.asyncDispose]())

const shapeOf = (schema: unknown) => (schema as z.ZodObject | undefined)?.shape ?? {}
const pathOf = (path: string) => path.replace('/webhooks/{id}', `/webhooks/${id}`).replaceAll(/\{\w+\}/g, '1')

/** For each field the first value that its schema refuses. */
function wrongValues(shape: z.ZodRawShape, values: readonly unknown[]): Record<string, unknown> {
  const wrong = Object.entries(shape).flatMap(([name, field]) => {
    const value = values.find(each => !(field as z.ZodType).safeParse(each).success)
    return value === undefined ? [] : [[name, value] as const]
  })
  return Object.fromEntries(wrong)
}

const inJson = [{ x: 1 }, [[null]], 7.5, null, '']
const inQuery = ['no', '-1', '\0', '']
/** What takes any text. */
const takesAll = new Set(['getEventSchema'])

const withBody = routes.filter(({ body }) => body !== undefined)
const withQuery = routes.filter(({ query, id }) => query !== undefined && !takesAll.has(id))
const named = (list: typeof routes) => list.map(route => [`${route.method} ${route.path}`, route] as const)

const pointersOf = (json: { errors: { pointer: string; detail: string }[] }) =>
  [...new Set(json.errors.map(({ pointer }) => `/${pointer.split('/')[1]}`))].sort()

test.each(named(withBody))('%s names all wrong and unknown fields of a body at once', async (_, route) => {
  const wrong = wrongValues(shapeOf(route.body), inJson)
  expect(Object.keys(wrong)).toEqual(Object.keys(shapeOf(route.body)))
  expect(Object.keys(wrong).length).toBeGreaterThan(0)
  const body = { ...wrong, nonsense: 1, 'a/b~c': 1 }
  const { status, json } = await at.call(route.method.toUpperCase(), pathOf(route.path), body)
  expect(status).toBe(422)
  expect(pointersOf(json)).toEqual(
    [...Object.keys(wrong), 'nonsense', 'a~1b~0c'].map(name => `/${name}`).sort(),
  )
  for (const { detail } of json.errors) expect(json.detail).toContain(detail)
  // As the validator says it by itself.
  expect(json.detail).not.toContain('Invalid option')
})

test.each(named(withQuery))(
  '%s names all wrong and unknown parameters of a query at once',
  async (_, route) => {
    const wrong = wrongValues(shapeOf(route.query), inQuery) as Record<string, string>
    expect(Object.keys(wrong)).toEqual(Object.keys(shapeOf(route.query)))
    const query = new URLSearchParams({ ...wrong, nonsense: '1', more: '2' })
    const { status, json } = await at.call(route.method.toUpperCase(), `${pathOf(route.path)}?${query}`)
    expect(status).toBe(422)
    expect(pointersOf(json)).toEqual(
      [...Object.keys(wrong), 'nonsense', 'more'].map(name => `/${name}`).sort(),
    )
    expect(json.detail).not.toContain('Invalid option')
  },
)

test.each(named(withQuery))('%s names each repeated parameter', async (_, route) => {
  const names = Object.keys(shapeOf(route.query))
  const query = names.map(name => `${name}=1&${name}=1`).join('&')
  const { status, json } = await at.call(route.method.toUpperCase(), `${pathOf(route.path)}?${query}`)
  expect([status, pointersOf(json)]).toEqual([422, names.map(name => `/${name}`).sort()])
})

test('the error of an unknown field suggests a similar one, and has the path of a nested one', async () => {
  const body = {
    ...{ name: 'CRM', url: 'https://crm.example.com/', trigers: ['user.new'], triggers: ['user.new'] },
    batch: { max_events: 10, max_wait_ms: 0, nonsense: 1 },
  }
  const { json } = await at.call('POST', '/api/webhooks', body)
  expect(json.errors).toEqual([
    { pointer: '/batch/nonsense', detail: 'batch.nonsense: unknown field' },
    { pointer: '/trigers', detail: 'trigers: unknown field: did you mean triggers?' },
  ])
})
