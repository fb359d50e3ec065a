import type { Page } from 'playwright-core'
import { afterAll, beforeAll, expect } from 'vitest'
import { en } from '../../src/admin/texts/en.ts'
import { nl } from '../../src/admin/texts/nl.ts'
import { findBarriers, isTooWide } from '../support/axe.ts'
import { browserTest, hasBrowser, useBrowser } from '../support/browser.ts'
import { adminToken, startSampleSite } from '../support/sample-site.ts'
import { until } from '../support/wait.ts'

/** An admin's day with the keyboard alone. */
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

for (const { t, locale, width } of ways) {
  browserTest(`everything works by keyboard only, ${locale}, ${width} wide`, async () => {
    const { context, page } = await browser.open({ locale, viewport: { width, height: 800 } })
    const name = `Keyboard ${locale}`
    await page.goto(site.url)
    await tabTo(page, '#token')
    await page.keyboard.type(adminToken)
    await page.keyboard.press('Enter')
    await page.waitForURL('**/couplings')

    await tabTo(page, 'a[href="/couplings/new"]')
    await page.keyboard.press('Enter')
    await page.waitForURL('**/couplings/new')
    await tabTo(page, '#name')
    await page.keyboard.type(name)
    await tabTo(page, '#url')
    await page.keyboard.type(site.receiver.url)
    await tabTo(page, 'input[name=trigger][value="user.update"]')
    await page.getByText(t.form.urlFine).waitFor()
    await page.keyboard.press('Space')
    await page.locator('#preview').getByText('"action_type": "update"').waitFor()
    // What was swapped in took the focus from nobody.
    expect(await isFocused(page, 'input[name=trigger][value="user.update"]')).toBe(true)
    await tabTo(page, `button:text-is("${t.form.try}")`)
    await page.keyboard.press('Enter')
    await page.getByText(t.diagnoses.delivered.what).waitFor()
    await until(() => isFocused(page, `button:text-is("${t.form.try}")`), {
      what: 'the button to have the focus again',
    })
    await tabTo(page, `button:text-is("${t.form.create}")`)
    await page.keyboard.press('Enter')
    await page.locator('#secret').waitFor()

    await page.goto(`${site.url}/couplings`)
    const row = `tbody tr:has-text("${name}")`
    await tabTo(page, `${row} [role=switch]`)
    await page.keyboard.press('Space')
    await page.getByText(t.couplings.done.deactivated).waitFor()
    await tabTo(page, `button:text-is("${t.couplings.undo}")`)
    await page.keyboard.press('Enter')
    await page.getByText(t.couplings.done.activated).waitFor()
    await site.sql(`update users set company_role = '${name}' where id = 2`)
    await page.locator(row).getByText('204').waitFor()
    await tabTo(page, `${row} a`)
    await page.keyboard.press('Enter')
    await page.waitForURL(/couplings\/\d+$/)
    expect(await findBarriers(page)).toEqual([])
    expect(await isTooWide(page)).toBe(false)
    await tabTo(page, 'a[href$="/log"]')
    await page.keyboard.press('Enter')
    await page.waitForURL('**/log')
    await tabTo(page, '.log tbody tr a')
    await page.keyboard.press('Enter')
    await page.getByText('"company_role"').first().waitFor()
    await context.close()
  })
}

const isFocused = async (page: Page, selector: string) =>
  (await page.locator(`${selector}:focus`).count()) > 0

/** How whatever has the focus shows it, a row of the log around it; null: nothing has it. */
const focus = `(() => {
  const element = document.activeElement
  if (!element || element === document.body) return null
  const hasRing = [undefined, '::after'].some(part => {
    const { outlineStyle, outlineWidth } = getComputedStyle(element, part)
    return outlineStyle !== 'none' && outlineWidth !== '0px'
  })
  const { width, height } = element.getBoundingClientRect()
  return { isSeen: hasRing && width > 0 && height > 0, what: element.outerHTML.slice(0, 200) }
})()`

/** Presses Tab until an element has the focus, which must be seen wherever it is on the way. */
async function tabTo(page: Page, selector: string): Promise<void> {
  for (let press = 0; press < 150; press++) {
    if (await isFocused(page, selector)) return
    await page.keyboard.press('Tab')
    const focused = await page.evaluate(focus)
    if (focused !== null) expect(focused).toEqual({ what: expect.any(String), isSeen: true })
  }
  throw new Error(`the keyboard does not reach ${selector}`)
}
