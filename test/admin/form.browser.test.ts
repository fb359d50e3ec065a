import type { Page } from 'playwright-core'
import { afterAll, beforeAll, expect } from 'vitest'
import { findBarriers, isTooWide } from '../support/axe.ts'
import { browserTest, hasBrowser, useBrowser } from '../support/browser.ts'
import { adminToken, startSampleSite } from '../support/sample-site.ts'

/** Filling in a form in a real browser: wrong, mended, in a narrow and in a low window. */
const browser = useBrowser()
let site: Awaited<ReturnType<typeof startSampleSite>>
beforeAll(async () => {
  if (hasBrowser) site = await startSampleSite()
})
afterAll(() => site?.[Symbol.asyncDispose]())

async function logIn(page: Page): Promise<void> {
  await page.goto(site.url)
  await page.getByLabel('Token', { exact: true }).fill(adminToken)
  await page.getByRole('button', { name: 'Log in' }).click()
  await page.waitForURL('**/couplings')
}

const focused = (page: Page) => page.evaluate('document.activeElement.id') as Promise<string>

browserTest(
  'errors are above the form with links to their fields, and disappear when corrected',
  async () => {
    const { context, page } = await browser.open()
    await logIn(page)
    await page.goto(`${site.url}/couplings/new`)
    await page.getByText('More', { exact: true }).click()
    await page.getByLabel('Several events in one request').check()
    await page.locator('#max_events').fill('1')
    await page.locator('#header_name-0').fill('host')
    await page.getByRole('button', { name: 'Create webhook' }).click()
    const errors = page.locator('#errors li')
    await errors.first().waitFor()
    // The errors are there before the script of the page, which mends them.
    await page.waitForLoadState()
    expect(await errors.count()).toBe(5)
    expect(await focused(page)).toBe('errors')
    expect(await findBarriers(page)).toEqual([])

    // Each leads to its field, also inside of what can be closed.
    for (const [i, field] of ['name', 'url', 'triggers', 'max_events', 'header_name-0'].entries()) {
      await errors.nth(i).getByRole('link').click()
      expect(await focused(page)).toBe(field)
    }

    // What the browser can check goes while one types, without a request.
    await page.route('**/couplings/**', route => route.abort())
    await page.locator('#name').fill('C')
    await page.locator('#errors').getByText('Enter a name').waitFor({ state: 'detached' })
    expect(await page.locator('#name').getAttribute('aria-invalid')).toBeNull()
    expect(await page.locator('#name-problem').textContent()).toBe('')
    await page.locator('#max_events').fill('5')
    await page.getByLabel('User: all').check()
    await page.unroute('**/couplings/**')
    await errors.nth(2).waitFor({ state: 'detached' })
    expect(await page.locator('[name=trigger][aria-invalid]').count()).toBe(0)

    // What walhook checks goes when the field is left; another error takes its place where it is still wrong.
    await page.locator('#url').fill('https://10.0.0.1/')
    await page.locator('#name').focus()
    await page.locator('#errors').getByText('WALHOOK_ALLOW_TARGETS').waitFor()
    await page.locator('#url').fill(site.receiver.url)
    await page.locator('#name').focus()
    await errors.nth(1).waitFor({ state: 'detached' })
    await page.getByText('walhook can send requests to this address.').waitFor()
    expect(await page.locator('#url').getAttribute('aria-invalid')).toBeNull()
    await page.locator('#header_name-0').fill('x-desk')
    await page.locator('[name=header_value]').first().fill('4')
    await page.locator('#name').focus()
    await page.locator('#errors').waitFor({ state: 'detached' })
    expect(await page.locator('[aria-invalid]').count()).toBe(0)
    await page.getByRole('button', { name: 'Create webhook' }).click()
    await page.getByText('Webhook created.').waitFor()
    await context.close()
  },
)

browserTest(
  'nothing moves under the pointer when a URL is checked while its next field is used',
  async () => {
    const { context, page } = await browser.open({ viewport: { width: 1280, height: 800 } })
    await logIn(page)
    await page.goto(`${site.url}/couplings/new`)
    const box = page.locator('[name=trigger]').first()
    const before = (await box.boundingBox())!.y
    await page.locator('#url').fill(site.receiver.url)
    await page.locator('#name').focus()
    await page.getByText('walhook can send requests to this address.').waitFor()
    expect((await box.boundingBox())!.y).toBeCloseTo(before, 0)
    await context.close()
  },
)

browserTest('dates are written as in the country of the reader', async () => {
  const day = new Intl.DateTimeFormat('en-GB', { month: 'short', timeZone: 'Europe/Amsterdam' }).format(
    new Date(),
  )
  for (const [locale, date] of [
    ['en-GB', new RegExp(`^\\d{1,2} ${day} \\d{4}`)],
    ['en-US', new RegExp(`^${day} \\d{1,2}, \\d{4}`)],
    ['fr-FR', new RegExp(`^${day} \\d{1,2}, \\d{4}`)],
  ] as const) {
    const { context, page } = await browser.open({ locale })
    await logIn(page)
    await page.goto(`${site.url}/audit`)
    const time = page.locator('td time[datetime], th time[datetime]').first()
    await time.waitFor()
    expect({ locale, text: await time.textContent() }).toEqual({ locale, text: expect.stringMatching(date) })
    await context.close()
  }
})

/** 1280 pixels at a zoom of 200 %, and a telephone. */
const windows = [
  { width: 360, height: 740 },
  { width: 640, height: 500 },
  { width: 1280, height: 800 },
]
for (const viewport of windows)
  browserTest(
    `at ${viewport.width} by ${viewport.height} the save button is visible, and hides no focused field`,
    async () => {
      const { context, page } = await browser.open({ viewport })
      await logIn(page)
      for (const path of ['/couplings/new', '/tokens/new']) {
        await page.goto(site.url + path)
        if (path === '/couplings/new') await page.getByText('More', { exact: true }).click()
        const bar = page.locator('.end.stays')
        const isSeen = async () => {
          const box = (await bar.boundingBox())!
          return box.y >= 0 && box.y + box.height <= viewport.height + 1
        }
        expect({ path, isSeen: await isSeen() }).toEqual({ path, isSeen: true })
        expect(await isTooWide(page)).toBe(false)
        // From field to field by keyboard, to the last one above the bar and back.
        const hidden: string[] = []
        const steps = await page.locator('main :is(input:not([type=hidden]), select, textarea)').count()
        for (const key of ['Tab', 'Shift+Tab'])
          for (let i = 0; i < steps + 20; i++) {
            await page.keyboard.press(key)
            hidden.push(
              ...((await page.evaluate(`(() => {
                const field = document.activeElement
                const bar = document.querySelector('.end.stays')
                if (field.form !== bar.closest('form') || bar.contains(field) || field.className === 'unseen') return []
                const { top, bottom, left, height } = field.getBoundingClientRect()
                const over = bar.getBoundingClientRect().top
                return top >= over || (height < 100 && bottom > over + 1) ? [field.id || field.name] : []
              })()`)) as string[]),
            )
          }
        expect({ path, hidden }).toEqual({ path, hidden: [] })
      }
      await context.close()
    },
  )
