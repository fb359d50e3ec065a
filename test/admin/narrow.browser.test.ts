import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Page } from 'playwright-core'
import { afterAll, beforeAll, expect } from 'vitest'
import type { Page as Served } from '../../src/admin/kit/page.ts'
import { pages } from '../../src/admin/pages.ts'
import { isTooWide } from '../support/axe.ts'
import { browserTest, hasBrowser, useBrowser } from '../support/browser.ts'
import { adminToken, startSampleSite } from '../support/sample-site.ts'
import { until } from '../support/wait.ts'

/** Every page at 360 pixels in Dutch, with names and addresses that nothing breaks by itself. */
const browser = useBrowser()
let site: Awaited<ReturnType<typeof startSampleSite>>
const longName = 'Koppelingsverantwoordelijkheidsoverdrachtsregistratiesysteem'
const longPath = `/${'eindpunt'.repeat(30)}`
const longTenant = 'Organisatie'.repeat(18)
let folder = ''
let ids: Readonly<Record<string, string>>

beforeAll(async () => {
  if (!hasBrowser) return
  folder = await mkdtemp(join(tmpdir(), 'walhook-narrow-'))
  const mapping = join(folder, 'walhook.yaml')
  await writeFile(
    mapping,
    'entities: { user: { table: users }, company: { table: companies, tenant: name } }',
  )
  site = await startSampleSite(() => 503, { WALHOOK_CONFIG: mapping })
  const { api } = site.walhook
  const webhook = await api('POST', '/api/webhooks', {
    name: longName,
    url: `${site.receiver.url}${longPath}`,
    triggers: ['user.new', 'user.update', 'user.delete', 'company.new', 'company.update', 'company.delete'],
    headers: { [`x-${'kop'.repeat(20)}`]: 'x'.repeat(200) },
    batch: { max_events: 2, max_wait_ms: 0 },
    alert_to: [`${'beheer'.repeat(9)}@${'bedrijf'.repeat(8)}.example`],
    filter: { 'user.company_role': ['x'.repeat(200)] },
  })
  const plain = await api('POST', '/api/webhooks', {
    name: `${longName}2`,
    url: `${site.receiver.url}${longPath}2`,
    triggers: ['user.update'],
  })
  const token = await api('POST', '/api/tokens', { name: longName, role: 'viewer', user_id: 'x'.repeat(100) })
  const ofTenant = { name: longName, tenant: longTenant }
  await api('POST', '/api/tokens', { ...ofTenant, role: 'viewer' })
  await api('POST', '/api/webhooks', { ...ofTenant, url: site.receiver.url, triggers: ['company.new'] })
  await site.sql(`update companies set name = '${longTenant}' where id = 1`)
  await site.sql(`update users set company_role = '${'Rol'.repeat(60)}' where id = 1`)
  const attempts = await until(
    async () => {
      const { data: items } = (await api('GET', `/api/webhooks/${plain.id}/log`)) as {
        data: { id: string; event_id: string }[]
      }
      return items.length > 0 && items
    },
    { what: 'a request that failed' },
  )
  const { data: events } = (await api('GET', `/api/events?tenant=${longTenant}`)) as {
    data: { id: string }[]
  }
  await api('PATCH', `/api/webhooks/${webhook.id}`, { name: `${longName}3`, is_active: false })
  await api('PATCH', `/api/webhooks/${webhook.id}`, { is_active: true })
  await api('POST', `/api/webhooks/${plain.id}/replays`, {
    from: new Date(0).toISOString(),
    to: new Date().toISOString(),
  })
  const { id: attempt, event_id: event } = attempts[0]!
  ids = {
    ':id': String(plain.id),
    ':event': event,
    ':attempt': attempt,
    token: String(token.id),
    webhook: String(webhook.id),
    ofTenant: String(events[0]!.id),
  }
})
afterAll(async () => {
  await site?.[Symbol.asyncDispose]()
  if (folder) await rm(folder, { recursive: true })
})

/** What of a page is outside of its card, table or notice: text, fields and buttons; or cut off without dots. */
const outside = `(() => {
  const found = []
  const isUnseen = element => element.closest('.unseen, .skip, [hidden], option, script, style, title') || !element.checkVisibility()
  const scrolls = element => ['auto', 'scroll'].includes(getComputedStyle(element).overflowX) || getComputedStyle(element).textOverflow === 'ellipsis'
  const check = (element, rects, said) => {
    if (isUnseen(element)) return
    let edge = { left: 0, right: document.documentElement.clientWidth }
    for (let one = element; one && one !== document.body; one = one.parentElement) {
      if (scrolls(one)) return
      const style = getComputedStyle(one)
      const isBox = one.matches('.card, .notice, .empty, fieldset, td, th, dd, .badge, button, .button') && style.display !== 'inline'
      if (!isBox && style.overflowX === 'visible') continue
      edge = one.getBoundingClientRect()
      break
    }
    for (const { left, right, width } of rects)
      if (width > 0 && (right > edge.right + 1 || left < edge.left - 1)) return void found.push(said.trim().slice(0, 60) + ' (' + Math.round(right - edge.right) + ' px)')
  }
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
  while (texts.nextNode()) {
    const { currentNode: text } = texts
    if (!text.data.trim()) continue
    const range = document.createRange()
    range.selectNodeContents(text)
    check(text.parentElement, range.getClientRects(), text.data)
  }
  for (const one of document.querySelectorAll('input:not([type=hidden]), select, textarea, button, .button, svg, progress, img'))
    check(one.parentElement, [one.getBoundingClientRect()], one.outerHTML)
  return [...new Set(found)]
})()`

/** Opens what can be, at once: a part that follows its events is replaced while one looks for the next summary. */
const openAll = `for (const one of document.querySelectorAll('details:not([open])')) if (one.checkVisibility()) one.open = true`

const pathOf = ({ path }: Served) =>
  path
    .replace('/tokens/:id', `/tokens/${ids.token}`)
    .replaceAll(/:(id|event|attempt)/g, name => String(ids[name]))

async function look(page: Page, path: string): Promise<string[]> {
  await page.goto(site.url + path)
  await page.evaluate(openAll)
  const found = (await page.evaluate(outside)) as string[]
  if (await isTooWide(page)) found.push('is wider than the window')
  return found.map(one => `${path}: ${one}`)
}

browserTest('at 360 pixels in Dutch nothing overflows its card on any page, with any names', async () => {
  const { context, page } = await browser.open({ locale: 'nl-NL', viewport: { width: 360, height: 740 } })
  await page.goto(site.url)
  await page.getByLabel('Token', { exact: true }).fill(adminToken)
  await page.getByRole('button', { name: 'Inloggen' }).click()
  await page.waitForURL('**/couplings')
  const whole = pages.filter(({ method, path }) => method === 'get' && !/\/(live|schema)$/.test(path))
  const more = [
    `/couplings/${ids.webhook}`,
    `/couplings/${ids.webhook}/overview`,
    `/couplings/${ids[':id']}/log?open=${ids[':attempt']}`,
    `/couplings/${ids[':id']}/log?outcome=x&trigger=x&entity_type=user&from=x`,
    `/couplings/${ids[':id']}/replay?from=2020-01-01T00:00&to=`,
    `/couplings/${ids[':id']}/backfill?entity_type=user&rows_per_second=1000`,
    `/audit?webhook=${ids[':id']}`,
    `/events?entity_type=user&entity_id=${'x'.repeat(200)}`,
    '/couplings?search=nothing',
    `/events/${ids.ofTenant}`,
    ...['/couplings', '/events', '/tokens'].map(path => `${path}?tenant=${longTenant}`),
    '/nowhere',
  ]
  const found: string[] = []
  for (const path of [...new Set([...whole.map(pathOf), ...more])]) found.push(...(await look(page, path)))
  expect(found).toEqual([])

  // What a form answers: errors, a test that failed, a secret, a new webhook and a new token.
  await page.goto(`${site.url}/couplings/new`)
  await page.getByRole('button', { name: 'Webhook aanmaken' }).click()
  await page.locator('#errors').waitFor()
  found.push(...((await page.evaluate(outside)) as string[]))
  await page.locator('#name').fill(longName)
  await page.locator('#url').fill(`${site.receiver.url}${longPath}`)
  await page.getByLabel('Gebruiker: alles').check()
  await page.getByRole('button', { name: 'Test versturen' }).click()
  await page.locator('.attempt').first().waitFor()
  found.push(...((await page.evaluate(outside)) as string[]))
  await page.getByRole('button', { name: 'Webhook aanmaken' }).click()
  await page.locator('#secret').waitFor()
  found.push(...((await page.evaluate(outside)) as string[]))
  await page.goto(`${site.url}/tokens/new`)
  await page.locator('#name').fill(longName)
  await page.locator('.end.stays .main').click()
  await page.locator('#token').waitFor()
  found.push(...((await page.evaluate(outside)) as string[]))
  expect(found).toEqual([])
  await context.close()
})

browserTest('a distance in words fits its figure, and leaves room for the label', async () => {
  const { context, page } = await browser.open({ locale: 'nl-NL' })
  await page.goto(site.url)
  await page.locator('input[name=token]').fill(adminToken)
  await page.getByRole('button', { name: 'Inloggen' }).click()
  await page.waitForURL('**/couplings')
  for (const width of [360, 1280])
    for (const path of ['/health', `/couplings/${ids[':id']}/overview`]) {
      await page.setViewportSize({ width, height: 800 })
      await page.goto(site.url + path)
      // In one turn: the script of the pages writes the times again after it.
      const wrong = await page.evaluate(`(() => {
        for (const time of document.querySelectorAll('.figures time')) time.textContent = '52 seconden geleden'
        return [...document.querySelectorAll('.figures > div')].flatMap(figure => {
          const [label, value] = figure.children
          const isNarrow = label.getBoundingClientRect().width < 100
          return isNarrow || value.scrollWidth > value.clientWidth + 1 ? [figure.textContent] : []
        })
      })()`)
      expect({ width, path, wrong }).toEqual({ width, path, wrong: [] })
    }
  await context.close()
})
