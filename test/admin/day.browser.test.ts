import type { Page } from 'playwright-core'
import { afterAll, beforeAll, beforeEach, expect } from 'vitest'
import { findBarriers, isTooWide } from '../support/axe.ts'
import { browserTest, hasBrowser, looks, useBrowser } from '../support/browser.ts'
import { adminToken, startSampleSite } from '../support/sample-site.ts'
import { until } from '../support/wait.ts'

/** An admin's day in a real browser, on a real walhook. */
const browser = useBrowser()
let site: Awaited<ReturnType<typeof startSampleSite>>
let status = 204
beforeAll(async () => {
  if (hasBrowser) site = await startSampleSite(() => status)
})
afterAll(() => site?.[Symbol.asyncDispose]())

beforeEach(() => {
  status = 204
})

async function logIn(page: Page): Promise<void> {
  await page.goto(site.url)
  await page.getByLabel('Token', { exact: true }).fill(adminToken)
  await page.getByRole('button', { name: 'Log in' }).click()
  await page.waitForURL('**/couplings')
}

const arrived = (actionType: string) => site.receiver.arrivals.filter(one => one.actionType === actionType)

browserTest('from log-in over a test before saving to a change that is seen as delivered', async () => {
  const { context, page } = await browser.open()
  const mistakes: string[] = []
  page.on('console', message => message.type() === 'error' && mistakes.push(message.text()))
  page.on('pageerror', error => mistakes.push(String(error)))

  await logIn(page)
  await page.getByRole('link', { name: 'New Webhook' }).click()
  await page.getByLabel('Name', { exact: true }).first().fill('CRM <script>alert(1)</script>')
  await page.getByLabel('URL', { exact: true }).fill('https://10.0.0.1/')
  await page.getByLabel('Name', { exact: true }).first().focus()
  await page.getByText('add 10.0.0.1 to WALHOOK_ALLOW_TARGETS').waitFor()
  await page.getByLabel('URL', { exact: true }).fill(site.receiver.url)
  await page.getByLabel('Name', { exact: true }).first().focus()
  await page.getByText('Requests can be sent to this address.').waitFor()

  // A row at once, with the keyboard, and what it will look like.
  await page.getByLabel('User: all').focus()
  await page.keyboard.press('Space')
  expect(await page.getByLabel('User: update').isChecked()).toBe(true)
  await page.locator('#preview').getByText('"action_type": "new"').waitFor()

  await page.getByRole('button', { name: 'Send a test' }).click()
  await page.getByText('It works: the receiver accepted the request.').waitFor()
  expect(arrived('test')).toHaveLength(1)
  expect(await page.getByLabel('URL', { exact: true }).inputValue()).toBe(site.receiver.url)

  await page.getByRole('button', { name: 'Create webhook' }).click()
  const secret = page.locator('#secret')
  expect(await secret.textContent()).toMatch(/^whsec_/)
  expect(await findBarriers(page)).toEqual([])
  expect(new URL(page.url()).pathname).toMatch(/^\/couplings\/\d+$/)
  await page.getByRole('link', { name: 'To the couplings' }).click()

  const row = page.getByRole('row').filter({ hasText: 'CRM <script>' })
  await row.getByText('Nothing sent yet').waitFor()
  await site.sql(`update users set company_role = 'Speaker' where id = 1`)
  await until(() => arrived('update').length === 1, { what: 'the change to arrive' })
  await row.getByText('Delivered (204)').waitFor()

  // Off and on again in place, by the switch.
  const onOff = row.getByRole('switch')
  await onOff.click()
  await row.getByText('Inactive').waitFor()
  await onOff.click()
  await row.getByText('Inactive').waitFor({ state: 'detached' })

  // A saved webhook says why its receiver refuses.
  await row.getByRole('link').click()
  await page.getByRole('link', { name: 'Test webhook' }).click()
  status = 401
  await page.getByRole('button', { name: 'Test webhook' }).click()
  await page.getByText('The receiver did not accept who is asking.').waitFor()
  expect(await findBarriers(page)).toEqual([])
  status = 204
  await page.getByLabel('User account').fill('2')
  await page.getByRole('button', { name: 'Test webhook' }).click()
  await page.getByText('It works: the receiver accepted the request.').waitFor()
  expect(arrived('test').at(-1)!.entityId).toBe('2')
  expect(mistakes).toEqual([])
  await context.close()
})

browserTest('no page has a barrier, light and dark, and none is wider than a small telephone', async () => {
  const { context, page } = await browser.open()
  await page.goto(`${site.url}/login`)
  expect(await findBarriers(page)).toEqual([])
  await logIn(page)
  const id = Number((await page.locator('tbody a').first().getAttribute('href'))!.replace('/couplings/', ''))
  const { id: tokenId } = await site.walhook.api('POST', '/api/tokens', { name: 'Desk', role: 'viewer' })
  const paths = [
    '/couplings',
    '/couplings/new',
    `/couplings/${id}`,
    `/couplings/${id}/test`,
    `/couplings/${id}/secret`,
    `/couplings/${id}/secret/rotate`,
    `/couplings/${id}/delete`,
    '/health',
    '/tokens',
    '/tokens/new',
    `/tokens/${tokenId}/revoke`,
    '/audit',
    '/nowhere',
  ]
  const wrong: string[] = []
  for (const path of paths)
    for (const { width, colorScheme } of looks) {
      await page.setViewportSize({ width, height: 800 })
      await page.emulateMedia({ colorScheme })
      await page.goto(site.url + path)
      if (path === '/couplings/new' || path.endsWith(`/${id}`))
        await page.getByText('More', { exact: true }).click()
      const at = `${path} ${width} ${colorScheme}`
      wrong.push(...(await findBarriers(page)).map(barrier => `${at}: ${barrier}`))
      if (await isTooWide(page)) wrong.push(`${at}: is too wide`)
    }
  expect(wrong).toEqual([])
  await context.close()
})

browserTest('in Dutch and without a script one makes, changes and deletes a webhook', async () => {
  const { context, page } = await browser.open({ locale: 'nl-NL', javaScriptEnabled: false })
  await page.goto(site.url)
  await page.getByLabel('Token', { exact: true }).fill(adminToken)
  await page.getByRole('button', { name: 'Inloggen' }).click()
  await page.getByRole('link', { name: 'Nieuwe webhook' }).click()
  await page.getByLabel('Naam', { exact: true }).first().fill('Zonder script')
  await page.getByRole('button', { name: 'Webhook aanmaken' }).click()
  // What was typed stays, and each field says what it lacks.
  await page.getByText('Vul de URL van het endpoint in.').waitFor()
  await page.getByText('Kies minstens één trigger').waitFor()
  expect(await page.getByLabel('Naam', { exact: true }).first().inputValue()).toBe('Zonder script')
  await page.getByLabel('URL', { exact: true }).fill(site.receiver.url)
  await page.getByLabel('Bedrijf: alles').check()
  await page.getByRole('button', { name: 'Test versturen' }).click()
  await page.getByText('Het werkt: de ontvanger heeft het verzoek geaccepteerd.').waitFor()
  await page.getByRole('button', { name: 'Webhook aanmaken' }).click()
  await page.getByText('De webhook is aangemaakt.').waitFor()
  await page.getByRole('link', { name: 'Naar de koppelingen' }).click()
  const row = page.getByRole('row').filter({ hasText: 'Zonder script' })
  await row.getByText('Bedrijf alles').waitFor()
  await row.getByRole('switch').click()
  await page.getByText('De webhook is inactief').waitFor()
  await row.getByRole('link').click()
  await page.getByRole('link', { name: 'Webhook verwijderen' }).click()
  await page.getByRole('button', { name: 'Verwijderen', exact: true }).click()
  await page.getByText('De webhook is verwijderd.').waitFor()
  expect(await row.count()).toBe(0)
  await context.close()
})
