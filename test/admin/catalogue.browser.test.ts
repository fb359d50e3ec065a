import { readFile } from 'node:fs/promises'
import { afterAll, beforeAll, expect } from 'vitest'
import { findInEveryViewport, findInTranslation } from '../support/axe.ts'
import { browserTest, hasBrowser, useBrowser } from '../support/browser.ts'
import { compileSchema } from '../support/event-schemas.ts'
import { adminToken, startSampleSite } from '../support/sample-site.ts'

const browser = useBrowser()
let site: Awaited<ReturnType<typeof startSampleSite>>
beforeAll(async () => {
  if (hasBrowser) site = await startSampleSite(() => 204)
})
afterAll(() => site?.[Symbol.asyncDispose]())

browserTest(
  "the catalogue leads from an example to the trigger's fields and to a schema that accepts the example",
  async () => {
    const { context, page } = await browser.open()
    await page.goto(site.url)
    await page.getByLabel('Token', { exact: true }).fill(adminToken)
    await page.getByLabel('Token', { exact: true }).press('Enter')
    await page.waitForURL('**/couplings')
    await page.goto(`${site.url}/couplings/new`)
    await page.locator('input[name="trigger"][value="company.update"]').check()
    await page.getByRole('link', { name: 'Fields and types of company.update' }).click()
    await page.waitForURL('**/catalogue/company.update')
    const example = (await page.getByLabel('Example', { exact: true }).textContent())!
    const downloading = page.waitForEvent('download')
    await page.getByRole('link', { name: 'Download JSON Schema' }).click()
    const download = await downloading
    expect(download.suggestedFilename()).toBe('company.update.schema.json')
    const schema = JSON.parse(await readFile(await download.path(), 'utf8'))
    expect(compileSchema(schema)(JSON.parse(example))).toBe(true)
    await page.getByRole('link', { name: 'Event catalogue' }).first().click()
    await page.getByRole('link', { name: 'capture.lost', exact: true }).click()
    await page.getByText('Changes were lost').waitFor()
    await context.close()
  },
)

browserTest(
  'the pages of the catalogue have no accessibility problem, in both languages and all themes',
  async () => {
    for (const locale of ['en-GB', 'nl-NL']) {
      const { context, page } = await browser.open({ locale })
      await page.goto(site.url)
      await page.locator('input[name="token"]').fill(adminToken)
      await page.locator('input[name="token"]').press('Enter')
      await page.waitForURL('**/couplings')
      for (const path of ['/catalogue', '/catalogue/user.new', '/catalogue/capture.lost']) {
        await page.goto(site.url + path)
        const found = await (locale === 'en-GB' ? findInEveryViewport : findInTranslation)(page)
        expect([locale, found]).toEqual([locale, []])
      }
      await context.close()
    }
  },
)
