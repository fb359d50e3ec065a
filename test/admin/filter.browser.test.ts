import { afterAll, beforeAll, expect } from 'vitest'
import { browserTest, hasBrowser, useBrowser } from '../support/browser.ts'
import { adminToken, startSampleSite } from '../support/sample-site.ts'

const browser = useBrowser()
let site: Awaited<ReturnType<typeof startSampleSite>>
beforeAll(async () => {
  if (hasBrowser) site = await startSampleSite(() => 204)
})
afterAll(() => site?.[Symbol.asyncDispose]())

browserTest(
  'an admin chooses a field, types values, sees the preview, and finds the filter again',
  async () => {
    const { context, page } = await browser.open({ locale: 'en-GB' })
    await page.goto(site.url)
    await page.getByLabel('Token', { exact: true }).fill(adminToken)
    await page.getByLabel('Token', { exact: true }).press('Enter')
    await page.waitForURL('**/couplings')
    await page.goto(`${site.url}/couplings/new`)
    await page.locator('#name').fill('Company 5')
    await page.locator('#url').fill(site.receiver.url)
    for (const action of ['new', 'update', 'delete'])
      await page.locator(`input[name="trigger"][value="user.${action}"]`).check()
    await page.locator('summary', { hasText: 'More' }).first().click()
    await page.getByLabel('Field of the filter').first().selectOption('user.id')
    await page.getByLabel('Values, one per line').first().fill('5\n7')
    await page.locator('#filter_leaving').selectOption('delete')
    await page.getByText(/The filter matches \d+ of the last \d+ events|no recent events/).waitFor()
    const picture = process.env.WALHOOK_PICTURE
    if (picture) await page.locator('details').first().screenshot({ path: picture })
    await page.locator('#name').press('Enter')
    await page.getByText('Webhook created.').waitFor()
    await page.goto(`${site.url}/couplings`)
    await page.getByRole('link', { name: 'Company 5' }).first().click()
    await page.getByRole('link', { name: 'Settings' }).click()
    expect(await page.getByLabel('Values, one per line').first().inputValue()).toBe('5\n7')
    await context.close()
  },
)
