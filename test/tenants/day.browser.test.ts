import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect } from 'vitest'
import { type Language, languages } from '../../src/admin/texts/texts.ts'
import { findInEveryViewport, findInTranslation } from '../support/axe.ts'
import { browserTest, hasBrowser, useBrowser } from '../support/browser.ts'
import { startSampleSite } from '../support/sample-site.ts'
import { until } from '../support/wait.ts'

/** A tenant's day in a real browser, on a real walhook: a company of the sample application for each language, beside another one. */
const tenants = { en: '1', nl: '2' } as const
const another = '3'
const browser = useBrowser()
let site: Awaited<ReturnType<typeof startSampleSite>>
let folder = ''

beforeAll(async () => {
  if (!hasBrowser) return
  folder = await mkdtemp(join(tmpdir(), 'walhook-tenants-'))
  const mapping = join(folder, 'walhook.yaml')
  await writeFile(mapping, 'entities:\n  company: { table: companies, tenant: id, label: name }\n')
  site = await startSampleSite(() => 204, { WALHOOK_CONFIG: mapping })
  await site.walhook.api('POST', '/api/webhooks', {
    name: 'CRM of another',
    url: site.receiver.url,
    triggers: ['company.update'],
    tenant: another,
  })
})
afterAll(async () => {
  await site?.[Symbol.asyncDispose]()
  if (folder) await rm(folder, { recursive: true })
})

/** A page of the tenant's own, opened by the link that its application asks for. */
async function enter(language: Language) {
  const link = await site.walhook.api('POST', '/api/sessions', {
    ...{ tenant: tenants[language], role: 'admin', name: 'Jane', language },
  })
  const { context, page } = await browser.open()
  const { pathname, search } = new URL(String(link.url))
  await page.goto(site.url + pathname + search)
  await page.getByRole('heading', { level: 1, name: languages[language].couplings.title }).waitFor()
  return { context, page }
}

for (const language of ['en', 'nl'] as const)
  browserTest(
    `${language}: a tenant follows a link, creates a webhook, sees a delivered change and its event, and replays missed events`,
    async () => {
      const [t, tenant] = [languages[language], tenants[language]]
      const { context, page } = await enter(language)
      const mistakes: string[] = []
      page.on('console', message => message.type() === 'error' && mistakes.push(message.text()))
      page.on('pageerror', error => mistakes.push(String(error)))
      const name = `CRM in ${language}`

      await page.getByRole('link', { name: t.couplings.new }).click()
      await page.locator('input[name=name]').fill(name)
      await page.locator('input[name=url]').fill(site.receiver.url)
      await page.locator('input[name=trigger][value="company.update"]').check()
      // Its users are of no tenant: a test has an example instead of an account.
      await page.getByRole('button', { name: t.form.try }).click()
      await page.getByText(t.diagnoses.delivered.what).waitFor()
      expect(site.receiver.arrivals.at(-1)).toMatchObject({ entityType: 'company', actionType: 'test' })
      await page.locator('details:has(input[name=header_name]) > summary').click()
      await page.locator('input[name=header_name]').first().fill('x-coupling')
      await page.locator('input[name=header_value]').first().fill(language)
      await page.getByRole('button', { name: t.form.create }).click()
      expect(await page.locator('#secret').textContent()).toMatch(/^whsec_/)
      const path = new URL(page.url()).pathname

      // What changes of the other tenant is neither sent nor shown.
      const heard = () => site.receiver.arrivals.filter(one => one.headers['x-coupling'] === language)
      await site.sql(`update companies set city = 'other ${language}' where id = ${another}`)
      await site.sql(`update companies set city = '${language}' where id = ${tenant}`)
      await until(() => heard().length === 1, { what: 'the change to arrive' })
      expect(heard().map(({ entityId }) => entityId)).toEqual([tenant])
      await page.goto(`${site.url}${path}/log`)
      await page.locator('.log tbody tr').getByText('(204)').waitFor()
      await page.goto(`${site.url}/events`)
      await page.locator('tbody th a').first().click()
      await page.getByRole('link', { name, exact: true }).waitFor()
      await page.getByRole('button', { name: t.log.resend }).first().click()
      await until(() => heard().length === 2, { what: 'the event to arrive again' })

      // What it missed while it was off is offered, and sent.
      await page.goto(`${site.url}/couplings`)
      const row = page.getByRole('row').filter({ hasText: name })
      await row.getByRole('switch').click()
      await row.locator('[role=switch][aria-checked=false]').waitFor()
      const stored = async () =>
        (
          (await site.walhook.api('GET', `/api/events?entity_type=company&entity_id=${tenant}`))
            .data as unknown[]
        ).length
      const before = await stored()
      await site.sql(`update companies set city = 'missed ${language}' where id = ${tenant}`)
      await until(async () => (await stored()) > before, { what: 'the change to be stored' })
      await row.getByRole('switch').click()
      await page.getByRole('button', { name: t.bulk.sendMissed }).click()
      await until(() => heard().length === 3, { what: 'what was missed to arrive' })
      expect(await page.content()).not.toContain('CRM of another')
      expect(mistakes).toEqual([])
      await context.close()
    },
  )

for (const language of ['en', 'nl'] as const)
  browserTest(`${language}: no page of a tenant has an accessibility problem or is too wide`, async () => {
    const { id } = await site.walhook.api('POST', '/api/webhooks', {
      name: `ERP in ${language}`,
      url: site.receiver.url,
      triggers: ['company.new', 'company.update'],
      tenant: tenants[language],
    })
    const token = await site.walhook.api('POST', '/api/tokens', {
      name: 'Desk',
      role: 'viewer',
      tenant: tenants[language],
    })
    const own = [
      '',
      '/overview',
      '/test',
      '/log',
      '/replay',
      '/secret',
      '/delete',
      '/resend-failed',
      '/cancel',
    ]
    const paths = [
      ...['/couplings', '/couplings/new', '/events', '/catalogue', '/catalogue/company.update', '/health'],
      ...['/tokens', '/tokens/new', `/tokens/${token.id}/revoke`, '/audit'],
      ...own.map(path => `/couplings/${id}${path}`),
    ]
    const { context, page } = await enter(language)
    for (const path of paths) {
      const answer = await page.goto(site.url + path)
      expect([path, answer!.status()]).toEqual([path, 200])
      expect(await (language === 'en' ? findInEveryViewport : findInTranslation)(page)).toEqual([])
    }
    await context.close()
  })
