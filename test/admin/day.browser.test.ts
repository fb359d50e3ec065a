import type { Page } from 'playwright-core'
import { afterAll, beforeAll, beforeEach, expect } from 'vitest'
import { findBarriers, findInEveryViewport } from '../support/axe.ts'
import { browserTest, hasBrowser, useBrowser } from '../support/browser.ts'
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

/** Where the first link of a page leads, if there is one. */
async function linksOf(page: Page, path: string, link: string): Promise<string[]> {
  await page.goto(site.url + path)
  return [(await page.locator(link).first().getAttribute('href'))!]
}

const arrived = (actionType: string) => site.receiver.arrivals.filter(one => one.actionType === actionType)

browserTest(
  'an admin logs in, tests before saving, and sees a delivered change live in the log',
  async () => {
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
    await page.getByText('walhook can send requests to this address.').waitFor()

    // A row at once, with the keyboard, and what it will look like.
    await page.getByLabel('User: all').focus()
    await page.keyboard.press('Space')
    expect(await page.getByLabel('User: update').isChecked()).toBe(true)
    await page.locator('#preview').getByText('"action_type": "new"').waitFor()

    await page.getByRole('button', { name: 'Send test' }).click()
    await page.getByText('The receiver accepted the request.').waitFor()
    expect(arrived('test')).toHaveLength(1)
    expect(await page.getByLabel('URL', { exact: true }).inputValue()).toBe(site.receiver.url)

    await page.getByRole('button', { name: 'Create webhook' }).click()
    const secret = page.locator('#secret')
    expect(await secret.textContent()).toMatch(/^whsec_/)
    expect(await findBarriers(page)).toEqual([])
    expect(new URL(page.url()).pathname).toMatch(/^\/couplings\/\d+$/)
    await page.getByRole('link', { name: 'Go to Couplings' }).click()

    const row = page.getByRole('row').filter({ hasText: 'CRM <script>' })
    await row.getByText('Nothing sent yet').waitFor()
    await site.sql(`update users set company_role = 'Speaker' where id = 1`)
    await until(() => arrived('update').length === 1, { what: 'the change to arrive' })
    await row.getByText('Delivered (204)').waitFor()

    // Off, which says what that means, and on again in place.
    const onOff = row.getByRole('switch')
    await onOff.click()
    await page.getByRole('button', { name: 'Undo' }).waitFor()
    await row.getByText('Inactive').waitFor()
    await onOff.click()
    await row.getByText('Inactive').waitFor({ state: 'detached' })

    // In the log the next change appears by itself.
    await row.getByRole('link', { name: 'Delivered (204)' }).click()
    await page.waitForURL('**/log*')
    const lines = page.locator('.log tbody tr')
    expect(await lines.count()).toBe(1)
    await site.sql(`update users set company_role = 'Host' where id = 2`)
    const line = lines.filter({ hasText: 'User 2: update' })
    await line.getByText('Delivered (204)').waitFor()
    expect(await lines.count()).toBe(2)
    expect(await findBarriers(page)).toEqual([])

    // One request in full, then its event, which is sent once more while one looks.
    await line.getByRole('rowheader').getByRole('link').click()
    await page.getByText('"company_role": "Host"').waitFor()
    await page.getByText('Copy as curl').click()
    await page.locator('#curl').getByText('curl --globoff').waitFor()
    await page.getByRole('link', { name: 'Deliveries of this event' }).click()
    await page.getByRole('button', { name: 'Resend' }).click()
    await page.getByText('walhook resends the event.').waitFor()
    await page.getByRole('link', { name: 'Attempt 1 of 10, manual' }).waitFor()
    await until(() => arrived('update').length === 3, { what: 'the event to arrive again' })
    expect(arrived('update').at(-1)!.messageId).toBe(arrived('update').at(-2)!.messageId)
    expect(await findBarriers(page)).toEqual([])

    // A saved webhook says why its receiver refuses.
    await page.getByRole('link', { name: 'Couplings' }).first().click()
    await row.getByRole('link').first().click()
    await page.getByRole('link', { name: 'Test webhook' }).click()
    status = 401
    await page.getByRole('button', { name: 'Test webhook' }).click()
    await page.getByText('The receiver rejected the credentials.').waitFor()
    expect(await findBarriers(page)).toEqual([])
    status = 204
    await page.getByLabel('User account').fill('2')
    await page.getByRole('button', { name: 'Test webhook' }).click()
    await page.getByText('The receiver accepted the request.').waitFor()
    expect(arrived('test').at(-1)!.entityId).toBe('2')
    expect(mistakes).toEqual([])
    await context.close()
  },
)

browserTest(
  'no page has an accessibility problem or is too wide, in both themes, on a desktop and on a phone',
  async () => {
    const { context, page } = await browser.open()
    await page.goto(`${site.url}/login`)
    expect(await findInEveryViewport(page)).toEqual([])
    await logIn(page)
    const id = Number(
      (await page.locator('tbody a').first().getAttribute('href'))!.replace('/couplings/', ''),
    )
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
      `/couplings/${id}/log`,
      `/couplings/${id}/log?outcome=failed&entity_type=user`,
      `/couplings/${id}/resend-failed`,
      `/couplings/${id}/cancel`,
      `/couplings/${id}/replay`,
      `/couplings/${id}/replay?from=2020-01-01T00:00&to=`,
      `/couplings/${id}/replay?from=&to=x`,
      `/couplings/${id}/backfill`,
      `/couplings/${id}/backfill?entity_type=user&rows_per_second=1000`,
      '/events',
      '/events?id=1',
      ...(await linksOf(page, `/couplings/${id}/log`, 'tbody th a')),
      ...(await linksOf(page, '/events', 'tbody th a')),
      '/tokens',
      '/tokens/new',
      `/tokens/${tokenId}/revoke`,
      '/audit',
      '/nowhere',
    ]
    const wrong: string[] = []
    for (const path of paths) {
      await page.goto(site.url + path)
      if (path === '/couplings/new' || path.endsWith(`/${id}`))
        await page.getByText('More', { exact: true }).click()
      wrong.push(...(await findInEveryViewport(page)))
    }
    expect(wrong).toEqual([])
    await context.close()
  },
)

browserTest(
  'without a script a secret is revealed and replaced, and a token is created and revoked',
  async () => {
    const { context, page } = await browser.open({ javaScriptEnabled: false })
    const made = await site.walhook.api('POST', '/api/webhooks', {
      name: 'No script',
      url: site.receiver.url,
      triggers: ['company.delete'],
    })
    await logIn(page)
    await page.goto(`${site.url}/couplings/${made.id}`)
    await page.getByRole('link', { name: 'Secret' }).click()
    await page.getByText('Python').click()
    await page.getByRole('button', { name: 'Show secret' }).click()
    expect(await page.locator('#secret').textContent()).toBe(made.secret)
    await page.getByRole('link', { name: 'New secret' }).click()
    await page.getByLabel('Hours in which both secrets sign').fill('1')
    await page.getByRole('button', { name: 'Create new secret' }).click()
    await page.getByText('Requests are also signed with the old secret until').waitFor()
    const secret = await page.locator('#secret').textContent()
    expect(secret).not.toBe(made.secret)
    expect(await page.locator('#call-js').textContent()).toContain(secret)

    await page.getByRole('link', { name: 'Tokens' }).click()
    await page.getByRole('link', { name: 'New token' }).click()
    await page.getByLabel('Name', { exact: true }).fill('Badge desk')
    await page.getByLabel('operator').check()
    await page.getByRole('button', { name: 'Create token' }).click()
    expect(await page.locator('#token').textContent()).toMatch(/^whk_/)
    await page.getByRole('link', { name: 'Go to Tokens' }).click()
    await page.getByRole('link', { name: 'Revoke Badge desk' }).click()
    await page.getByRole('button', { name: 'Revoke', exact: true }).click()
    await page.getByText('Token revoked.').waitFor()

    await page.getByRole('link', { name: 'Audit' }).click()
    await page.waitForURL('**/audit')
    const actions = await page.locator('td:nth-child(3)').allTextContents()
    expect(actions.slice(0, 4)).toEqual([
      'Revoked a tokenBadge desk',
      'Created a tokenBadge desk',
      'Rotated a secretNo script',
      'Viewed a secretNo script',
    ])
    await page.getByRole('link', { name: 'Health' }).click()
    await page.getByText('All systems normal.').waitFor()
    await page.getByText('As a table').first().click()
    await page.getByRole('table').first().waitFor()
    await context.close()
  },
)

browserTest('in Dutch and without a script an admin creates, changes and deletes a webhook', async () => {
  const { context, page } = await browser.open({ locale: 'nl-NL', javaScriptEnabled: false })
  await page.goto(site.url)
  await page.getByLabel('Token', { exact: true }).fill(adminToken)
  await page.getByRole('button', { name: 'Inloggen' }).click()
  await page.getByRole('link', { name: 'Nieuwe webhook' }).click()
  await page.getByLabel('Naam', { exact: true }).first().fill('Zonder script')
  await page.getByRole('button', { name: 'Webhook aanmaken' }).click()
  // What was typed stays, and each field says what it lacks.
  await page.locator('#url-problem').getByText('Vul de URL van het endpoint in.').waitFor()
  await page.locator('#triggers-problem').getByText('Kies minstens één trigger').waitFor()
  expect(await page.getByLabel('Naam', { exact: true }).first().inputValue()).toBe('Zonder script')
  await page.getByLabel('URL', { exact: true }).fill(site.receiver.url)
  await page.getByLabel('Bedrijf: alles').check()
  await page.getByRole('button', { name: 'Test versturen' }).click()
  await page.getByText('De ontvanger heeft het verzoek geaccepteerd.').waitFor()
  await page.getByRole('button', { name: 'Webhook aanmaken' }).click()
  await page.getByText('Webhook aangemaakt.').waitFor()
  await page.getByRole('link', { name: 'Naar Koppelingen' }).click()
  const row = page.getByRole('row').filter({ hasText: 'Zonder script' })
  await row.getByText('Bedrijf alles').waitFor()
  await row.getByRole('switch').click()
  await page.getByText('Webhook gedeactiveerd.').waitFor()
  await row.getByRole('link').click()
  await page.getByRole('link', { name: 'Webhook verwijderen' }).click()
  await page.getByRole('button', { name: 'Verwijderen', exact: true }).click()
  await page.getByText('Webhook verwijderd.').waitFor()
  expect(await row.count()).toBe(0)
  await context.close()
})
