import type { Page } from 'playwright-core'
import { afterAll, beforeAll, beforeEach, expect } from 'vitest'
import { findBarriers, isTooWide } from '../support/axe.ts'
import { browserTest, hasBrowser, reloadUntil, useBrowser } from '../support/browser.ts'
import { adminToken, startSampleSite, untilLogged } from '../support/sample-site.ts'
import { until } from '../support/wait.ts'

/** What an admin does with the log, in a real browser, on a real walhook. */
const browser = useBrowser()
let site: Awaited<ReturnType<typeof startSampleSite>>
let status = 204
let id: number
beforeAll(async () => {
  if (hasBrowser) site = await startSampleSite(() => status)
})
afterAll(() => site?.[Symbol.asyncDispose]())
beforeEach(async () => {
  status = 204
  if (!hasBrowser) return
  if (id) await api('DELETE', `/api/webhooks/${id}`)
  const made = await api('POST', '/api/webhooks', {
    name: 'CRM',
    url: site.receiver.url,
    triggers: ['user.update'],
  })
  id = JSON.parse(await made.text()).id
})

async function api(method: string, path: string, body?: object): Promise<Response> {
  const headers = { authorization: `Bearer ${adminToken}` }
  return await fetch(site.url + path, { method, headers, ...(body && { body: JSON.stringify(body) }) })
}

async function logIn(page: Page, token: string, button: string): Promise<void> {
  await page.goto(site.url)
  await page.getByLabel(token, { exact: true }).fill(adminToken)
  await page.getByRole('button', { name: button }).click()
  await page.waitForURL('**/couplings')
}

async function change(userId: number): Promise<void> {
  const before = site.receiver.arrivals.length
  await site.sql(`update users set company_role = company_role || '.' where id = ${userId}`)
  await until(() => site.receiver.arrivals.length > before, { what: 'the change to arrive' })
}

browserTest(
  'in Dutch and without a script an admin filters the log, opens a request, and resends it',
  async () => {
    const { context, page } = await browser.open({ locale: 'nl-NL', javaScriptEnabled: false })
    await logIn(page, 'Token', 'Inloggen')
    await page.goto(`${site.url}/couplings/${id}/log`)
    await page.getByText('Er is nog niets naar deze webhook verstuurd').waitFor()
    await change(1)
    status = 500
    await change(2)
    const lines = page.locator('.log tbody tr')
    await reloadUntil(page, async () => (await lines.count()) === 2, 'both requests in the log')
    await page.locator('.filter summary').click()
    await page.getByLabel('Resultaat').selectOption({ label: 'Alles wat mislukte' })
    await page.getByLabel('Vanaf (UTC)').fill('2026-01-01T00:00')
    await page.getByRole('button', { name: 'Toepassen' }).click()
    await page.waitForURL(/from=2026/)
    expect(await lines.count()).toBe(1)
    expect(await page.getByLabel('Vanaf (UTC)').inputValue()).toBe('2026-01-01T00:00')
    await page.getByLabel('Vanaf (UTC)').fill('2199-01-01T00:00')
    await page.getByRole('button', { name: 'Toepassen' }).click()
    await page.getByText('Geen enkel verzoek past bij het filter.').waitFor()
    await page.getByRole('link', { name: 'Wissen' }).click()
    await lines.filter({ hasText: 'Gebruiker 2: wijziging' }).getByRole('rowheader').getByRole('link').click()
    await page.locator('#opened').getByText('De ontvanger kon het verzoek niet verwerken.').waitFor()
    status = 204
    await page.getByRole('button', { name: 'Opnieuw versturen' }).click()
    await page.getByText('walhook verstuurt het event opnieuw.').waitFor()
    const accepted = page.getByText('De ontvanger heeft het event geaccepteerd.')
    await reloadUntil(page, async () => (await accepted.count()) > 0, 'the event to be delivered')
    await context.close()
  },
)

browserTest(
  'a request opens beside the list, the arrow keys move between requests, and Back closes it',
  async () => {
    const { context, page } = await browser.open()
    await logIn(page, 'Token', 'Log in')
    for (const userId of [4, 5, 6]) await change(userId)
    await page.goto(`${site.url}/couplings/${id}/log`)
    const links = page.locator('.log a.subject')
    await until(async () => (await links.count()) === 3, { what: 'three lines' })
    const opened = page.locator('#opened-title')
    await links.first().click()
    await opened.getByText('User 6: update').waitFor()
    expect(await links.last().isVisible()).toBe(true)
    await page.keyboard.press('ArrowDown')
    await opened.getByText('User 5: update').waitFor()
    await page.keyboard.press('End')
    await opened.getByText('User 4: update').waitFor()
    expect(await links.last().getAttribute('aria-current')).toBe('true')
    expect(await findBarriers(page)).toEqual([])
    expect(await isTooWide(page)).toBe(false)
    await page.goBack()
    await until(async () => (await opened.count()) === 0 && (await links.count()) === 3, {
      what: 'the list alone',
    })
    await context.close()
  },
)

browserTest(
  'failed events are resent and pending ones cancelled, after a page with their number',
  async () => {
    const { context, page } = await browser.open()
    await logIn(page, 'Token', 'Log in')
    status = 500
    await change(3)
    await untilLogged(site, id, 1)
    await page.goto(`${site.url}/couplings/${id}/log`)
    await page.getByText('Pending: 1.').waitFor()
    await page.getByRole('link', { name: 'Resend all failed' }).click()
    await page.getByText('Events to resend: 1.').waitFor()
    await page.getByRole('button', { name: 'Resend now' }).click()
    await page.getByText('Resending events: 1.').waitFor()
    await untilLogged(site, id, 2)
    await page.getByRole('link', { name: 'Cancel pending' }).click()
    await page.getByText('Pending or in flight: 1.').waitFor()
    await page.getByRole('button', { name: 'Cancel these events' }).click()
    await page.getByText('Cancelled: 1.').waitFor()
    await page.getByText('Pending:').waitFor({ state: 'detached' })
    await context.close()
  },
)

browserTest("times of the filter are in the reader's time zone, and equal in the address", async () => {
  const { context, page } = await browser.open()
  await logIn(page, 'Token', 'Log in')
  await page.goto(`${site.url}/couplings/${id}/log?from=2026-07-01T10:00`)
  const from = page.getByLabel('From', { exact: true })
  expect(await from.inputValue()).toBe('2026-07-01T12:00')
  await page.getByLabel('Before', { exact: true }).fill('2026-12-01T01:00')
  await page.getByRole('button', { name: 'Apply' }).click()
  await page.waitForURL(/to=2026/)
  const { searchParams } = new URL(page.url())
  expect({ from: searchParams.get('from'), to: searchParams.get('to') }).toEqual({
    from: '2026-07-01T10:00',
    to: '2026-12-01T00:00',
  })
  await from.fill('')
  await page.getByRole('button', { name: 'Apply' }).click()
  await page.waitForURL(/from=&/)
  await context.close()
})

browserTest('no table is cut off in windows of any width', async () => {
  const { context, page } = await browser.open()
  await logIn(page, 'Token', 'Log in')
  status = 500
  await change(4)
  const cutOff: string[] = []
  for (const width of [320, 500, 800, 820, 1024, 1100, 1440]) {
    await page.setViewportSize({ width, height: 800 })
    for (const path of [`/couplings/${id}/log`, '/events']) {
      await page.goto(site.url + path)
      await page.locator('tbody tr').first().waitFor()
      const isCut = await page.evaluate(
        '(card => card.scrollWidth > card.clientWidth)(document.querySelector(".card.flush"))',
      )
      if (isCut || (await isTooWide(page))) cutOff.push(`${path} at ${width}`)
    }
  }
  expect(cutOff).toEqual([])
  await context.close()
})
