import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Page } from '../../src/admin/kit/page.ts'
import { pages } from '../../src/admin/pages.ts'
import { openTestPages } from '../support/open-pages.ts'
import { type Filled, fillTenant } from '../support/two-tenants.ts'

/** Titles and headings say which page of what one looks at: of every page, in both languages. */
let at: Awaited<ReturnType<typeof openTestPages>>
let acme: Filled
let bravo: Filled
beforeAll(async () => {
  at = await openTestPages({ hasTenants: true })
  acme = await fillTenant(at, 'acme', '7')
  bravo = await fillTenant(at, 'bravo', '8')
})
afterAll(() => at[Symbol.asyncDispose]())

const languages = ['en', 'nl'] as const
const whole = pages.filter(({ method, path }) => method === 'get' && !/\/(live|schema)$/.test(path))
const pathOf = ({ path }: Page, of: Filled) =>
  path
    .replace('/couplings/:id', `/couplings/${of.webhookId}`)
    .replace('/tokens/:id', `/tokens/${of.tokenId}`)
    .replace(':trigger', 'user.new')
    .replace(':event', String(of.eventId))
    .replace(':attempt', String(of.attemptId))

const unescaped = (text: string) => text.replaceAll('&#39;', "'").replaceAll('&amp;', '&')
const read = (text: string) => ({
  title: unescaped(/<title>(.*?) · walhook<\/title>/s.exec(text)?.[1] ?? ''),
  heading: unescaped(/<h1>(.*?)<\/h1>/s.exec(text)?.[1] ?? ''),
})

test.each(languages)('all page titles differ, in %s', async language => {
  const seen = new Map<string, string>()
  const paths = [acme, bravo].flatMap(of => whole.map(page => pathOf(page, of)))
  const more = [acme, bravo].map(({ webhookId }) => `/audit?webhook=${webhookId}`)
  for (const path of new Set([...paths, ...more])) {
    const { status, text } = await at.get(path, 'admin', { 'accept-language': language })
    const { title, heading } = read(text)
    expect({ path, status, heading }).toEqual({ path, status: 200, heading: title })
    expect(title).not.toBe('')
    expect({ title, of: seen.get(title) ?? path }).toEqual({ title, of: path })
    seen.set(title, path)
  }
})

const names = { '/couplings/:id': 'CRM of acme', '/tokens/:id': 'token of acme' }
const named = pages
  .filter(
    ({ method, path }) =>
      !/\/(live|schema)$/.test(path) && !(method === 'post' && /(delete|revoke)$/.test(path)),
  )
  .flatMap(page =>
    Object.entries(names).flatMap(([start, name]) =>
      page.path.startsWith(start) ? [{ page, name, what: `${page.method} ${page.path}` }] : [],
    ),
  )

test.each(named)('the title of $what names its object', async ({ page, name }) => {
  const path = pathOf(page, acme)
  // Wrong in some field, where there is one: what is carried out leads elsewhere, and takes nothing from the tests after it.
  const form = {
    key: 'a'.repeat(32),
    version: '1',
    name: '',
    url: 'x',
    overlap_hours: 'x',
    user_id: 'nobody',
  }
  const answer = page.method === 'get' ? await at.get(path) : await at.post(path, form)
  // A redirect, or a sentence about what can't be done: no page of the webhook.
  if (page.method === 'post' && !answer.text.includes('<form method="post" action="/couplings/')) return
  const { title, heading } = read(answer.text)
  expect(title).toContain(`: ${name}`)
  expect(heading).toBe(title)
})

test('the title after creation names the new object', async () => {
  const webhook = await at.post('/couplings/new', {
    ...{ name: 'Made', url: 'https://made.example/', is_active: 'true', trigger: 'user.new' },
    ...{ key: 'b'.repeat(32) },
  })
  expect(read(webhook.text)).toEqual({ title: 'New Webhook: Made', heading: 'New Webhook: Made' })
  const token = await at.post('/tokens/new', {
    ...{ name: 'Desk', role: 'viewer', user_id: '', expires: '30d', key: 'c'.repeat(32) },
  })
  expect(read(token.text)).toEqual({ title: 'New token: Desk', heading: 'New token: Desk' })
})
