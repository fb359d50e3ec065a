import { afterAll, beforeAll, expect } from 'vitest'
import { browserTest, hasBrowser, useBrowser } from '../support/browser.ts'
import { adminToken, startSampleSite } from '../support/sample-site.ts'

const browser = useBrowser()
let site: Awaited<ReturnType<typeof startSampleSite>>
beforeAll(async () => {
  if (hasBrowser) site = await startSampleSite(() => 204)
})
afterAll(() => site?.[Symbol.asyncDispose]())

browserTest('Enter in the form of a new webhook creates it, and sends no data', async () => {
  for (const javaScriptEnabled of [true, false]) {
    const { context, page } = await browser.open({ locale: 'en-GB', javaScriptEnabled })
    await page.goto(site.url)
    await page.getByLabel('Token', { exact: true }).fill(adminToken)
    await page.getByLabel('Token', { exact: true }).press('Enter')
    await page.waitForURL('**/couplings')
    await page.goto(`${site.url}/couplings/new`)
    await page.locator('#name').fill('CRM')
    await page.locator('input[name="trigger"]').first().check()
    await page.locator('#url').fill(site.receiver.url)
    await page.locator('#name').press('Enter')
    await page.getByText('Webhook created.').waitFor()
    expect(site.receiver.arrivals).toEqual([])
    await context.close()
  }
})
