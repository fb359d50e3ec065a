import { createHash } from 'node:crypto'
import { Validator } from '@seriousme/openapi-schema-validator'
import { expect, test } from 'vitest'
import { z } from 'zod'
import { docsPage, docsPolicy } from '../../src/api/kit/docs-page.ts'
import { openApiDocument } from '../../src/api/kit/document.ts'
import { route } from '../../src/api/kit/route.ts'
import { routes } from '../../src/api/routes.ts'
import { document } from '../support/check-response.ts'

test('the document is valid OpenAPI 3.1, and every reference resolves', async () => {
  const validator = new Validator()
  const verdict = await validator.validate(structuredClone(document))
  expect(verdict.errors ?? []).toEqual([])
  expect(verdict.valid).toBe(true)
  expect(validator.version).toBe('3.1')
  for (const [, name] of JSON.stringify(document).matchAll(/"\$ref":"#\/components\/schemas\/([^"]+)"/g))
    expect(Object.keys(document.components.schemas)).toContain(name)
  expect(JSON.stringify(document)).not.toContain('$defs')
})

test('each route is listed once, with its operation id, role and path parameters', () => {
  const operations = Object.values(document.paths).flatMap(methods => Object.values(methods))
  expect(operations.length).toBe(routes.length)
  expect(new Set(operations.map(({ operationId }) => operationId)).size).toBe(routes.length)
  for (const { path, method, role, summary } of routes) {
    const operation = document.paths[path]![method]!
    expect(operation['x-role']).toBe(role)
    const named = operation.parameters.filter(one => one.in === 'path').map(({ name }) => name)
    expect(named).toEqual([...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name))
    expect(summary).toMatch(/^[A-Z].*[^.]$/)
  }
})

test('client generators find a name for each page and body, and no recursive type', () => {
  const { schemas } = document.components
  for (const name of Object.keys(schemas)) expect(name).toMatch(/^[A-Z][A-Za-z]+$/)
  for (const { operationId, requestBody, responses } of Object.values(document.paths).flatMap(methods =>
    Object.values(methods),
  ))
    for (const content of [requestBody?.content, ...Object.values(responses).map(one => one.content)])
      for (const { schema } of Object.values(content ?? {}))
        expect(schema, operationId).toEqual({ $ref: expect.any(String) })
  const within = (name: string, path: readonly string[]): void => {
    expect(path, `${[...path, name].join(' > ')}`).not.toContain(name)
    for (const [, inner] of JSON.stringify(schemas[name]).matchAll(/"#\/components\/schemas\/([^"]+)"/g))
      within(inner!, [...path, name])
  }
  for (const name of Object.keys(schemas)) within(name, [])
})

test('a cursor parameter is text, like `next_cursor`', () => {
  const operations = Object.values(document.paths).flatMap(methods => Object.values(methods))
  const cursors = operations.flatMap(({ operationId, parameters }) =>
    parameters.filter(({ name }) => name === 'cursor').map(({ schema }) => [operationId, schema] as const),
  )
  expect(cursors.length).toBeGreaterThan(5)
  for (const [operationId, schema] of cursors) expect(schema.type, operationId).toBe('string')
})

test('the limits of numeric parameters are documented as numbers', () => {
  const { parameters } = document.paths['/api/webhooks/{id}/log']!.get!
  expect(parameters.find(({ name }) => name === 'limit')).toEqual({
    name: 'limit',
    in: 'query',
    required: false,
    schema: { type: 'integer', minimum: 1, maximum: 100, default: 10 },
  })
})

test('the documentation page shows every call, loads nothing, and escapes its texts', async () => {
  const page = String(await docsPage(document))
  for (const { id, path } of routes) {
    expect(page).toContain(`id="${id}"`)
    expect(page).toContain(path)
  }
  expect(page).not.toMatch(/<script|<link|<img|\bstyle="|https?:/)
  const hostile = route({
    method: 'get',
    path: '/api/x',
    id: 'x',
    tag: '<b>tag</b>',
    summary: '<script>alert(1)</script>',
    description: 'A `<i>` in code',
    role: 'viewer',
    response: { status: 200, what: '<u>', schema: z.object({ '<s>': z.literal('<em>') }) },
    handle: async () => ({ ok: true, value: { '<s>': '<em>' as const } }),
  })
  const shown = String(await docsPage(openApiDocument([hostile], '<h1>')))
  expect(shown).not.toMatch(/<(b|script|i|u|s|em)>/)
  expect(shown).toContain('<code>&lt;i&gt;</code>')
})

test("the content security policy allows exactly the page's own style", async () => {
  const style = /<style>(.*)<\/style>/s.exec(String(await docsPage(document)))![1]!
  const hash = createHash('sha256').update(style).digest('base64')
  expect(docsPolicy).toContain(`default-src 'none'; style-src 'sha256-${hash}';`)
})
