import { afterAll, beforeAll, expect } from 'vitest'
import { en } from '../../src/admin/texts/en.ts'
import { nl } from '../../src/admin/texts/nl.ts'
import { isTooWide } from '../support/axe.ts'
import { browserTest, hasBrowser, reloadUntil, useBrowser } from '../support/browser.ts'
import { adminToken, startSampleSite } from '../support/sample-site.ts'
import { until } from '../support/wait.ts'

/** An admin's day in a browser that runs no script. */
const browser = useBrowser()
let site: Awaited<ReturnType<typeof startSampleSite>>
beforeAll(async () => {
  if (hasBrowser) site = await startSampleSite()
})
afterAll(() => site?.[Symbol.asyncDispose]())

const ways = [
  { t: en, locale: 'en-GB', width: 1280 },
  { t: nl, locale: 'nl-NL', width: 360 },
] as const

const arrived = (actionType: string) =>
  site.receiver.arrivals.filter(one => one.actionType === actionType).length

for (const { t, locale, width } of ways) {
  browserTest(`everything works without a script, ${locale}, ${width} wide`, async () => {
    const { context, page } = await browser.open({
      ...{ javaScriptEnabled: false, locale, viewport: { width, height: 800 } },
    })
    const name = `Script off ${locale}`
    const button = (text: string) => page.getByRole('button', { name: text, exact: true }).first()
    await page.goto(site.url)
    await page.locator('#token').fill(adminToken)
    await page.keyboard.press('Enter')
    await page.waitForURL('**/couplings')

    await page.goto(`${site.url}/couplings/new`)
    await page.locator('#name').fill(name)
    await page.locator('#url').fill('ftp://wrong')
    await button(t.form.create).click()
    await page.locator('[aria-invalid=true]').first().waitFor()
    expect(await page.locator('#name').inputValue()).toBe(name)
    await page.locator('#url').fill(site.receiver.url)
    await page.locator('input[name=trigger][value="user.update"]').check()
    const tests = arrived('test')
    await button(t.form.try).click()
    await page.getByText(t.diagnoses.delivered.what).waitFor()
    expect(arrived('test')).toBe(tests + 1)
    expect(await page.locator('#name').inputValue()).toBe(name)
    // Enter creates it, and sends no test.
    await page.locator('#name').press('Enter')
    expect(await page.locator('#secret').textContent()).toMatch(/^whsec_/)
    expect(arrived('test')).toBe(tests + 1)

    await page.goto(`${site.url}/couplings`)
    const row = page.locator('tbody tr').filter({ hasText: name })
    const id = /\d+/.exec((await row.getByRole('link').first().getAttribute('href'))!)![0]
    const updates = arrived('update')
    await site.sql(`update users set company_role = '${name}' where id = 1`)
    await until(() => arrived('update') > updates, { what: 'the change to arrive' })
    await page.goto(`${site.url}/couplings/${id}/log`)
    // The receiver has the request before the log has the attempt.
    const attempt = page.locator('.log tbody tr a').first()
    await reloadUntil(page, async () => (await attempt.count()) > 0, 'the attempt to be in the log')
    await attempt.click()
    expect(await page.textContent('body')).toContain(name)
    await page.goto(`${site.url}/couplings`)
    await row.getByRole('switch').click()
    await page.getByText(t.couplings.done.deactivated).waitFor()
    await button(t.couplings.undo).click()
    await page.getByText(t.couplings.done.activated).waitFor()
    for (const path of ['/test', '/overview', '/replay', '/backfill', '/secret', '']) {
      await page.goto(`${site.url}/couplings/${id}${path}`)
      expect({ path, isTooWide: await isTooWide(page) }).toEqual({ path, isTooWide: false })
    }
    await page.goto(`${site.url}/couplings/${id}/delete`)
    await button(t.delete.confirm).click()
    await page.getByText(t.couplings.done.deleted).waitFor()
    await context.close()
  })
}
