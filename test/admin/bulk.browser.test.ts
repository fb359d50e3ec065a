import type { Page } from 'playwright-core'
import { afterAll, beforeAll, expect } from 'vitest'
import { findBarriers } from '../support/axe.ts'
import { browserTest, hasBrowser, useBrowser } from '../support/browser.ts'
import { adminToken, startSampleSite, untilLogged } from '../support/sample-site.ts'
import { until } from '../support/wait.ts'

/** Many events at once, as an admin sends them: a range, what was missed, and the rows of a table. */
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

const arrived = (actionType: string) => site.receiver.arrivals.filter(one => one.actionType === actionType)

browserTest('an admin replays a range, sends what was missed, and backfills a table', async () => {
  const { context, page } = await browser.open()
  await logIn(page)
  const { id } = await site.walhook.api('POST', '/api/webhooks', {
    name: 'CRM',
    url: site.receiver.url,
    triggers: ['user.new', 'user.update'],
  })
  await site.sql(`update users set company_role = 'Host' where id in (1, 2)`)
  // What is not settled yet, a replay does not queue again.
  await untilLogged(site, id, 2)
  expect(arrived('update')).toHaveLength(2)

  // What is wrong is told beside its field, and nothing is counted.
  await page.goto(`${site.url}/couplings/${id}/replay`)
  await page.getByRole('button', { name: 'Count' }).click()
  await page.locator('#from-problem').getByText('Enter the start of the range.').waitFor()
  await page.getByLabel('From', { exact: false }).fill('2020-01-01T00:00')
  await page.getByRole('button', { name: 'Count' }).click()
  await page.locator('#preview').getByText('Events to send: 2.').waitFor()
  expect(arrived('update')).toHaveLength(2)
  await page.getByRole('button', { name: 'Start replay' }).click()
  await page.getByText('Replay started.').waitFor()
  const first = page.locator('#replays tbody tr').first()
  await first.getByText('Done', { exact: true }).waitFor()
  await first.getByText('2 of 2 events').waitFor()
  await until(() => arrived('update').length === 4, { what: 'the events to arrive again' })
  expect(await findBarriers(page)).toEqual([])

  // Off, and on again: what was missed is said, and sent.
  await page.goto(`${site.url}/couplings`)
  const onOff = page.getByRole('row').filter({ hasText: 'CRM' }).getByRole('switch')
  await onOff.click()
  await page.getByRole('button', { name: 'Undo' }).waitFor()
  await site.sql(`update users set company_role = 'Guest' where id in (1, 2, 3)`)
  await until(
    async () => {
      const { missed } = await site.walhook.api('GET', `/api/webhooks/${id}/missed`)
      return (missed as { events: number }).events === 3
    },
    {
      what: 'the changes to be stored',
    },
  )
  await onOff.click()
  await page.getByText('Events missed while inactive: 3.').waitFor()
  expect(await findBarriers(page)).toEqual([])
  await page.getByRole('button', { name: 'Send missed events' }).click()
  await page.getByText('Replay started.').waitFor()
  await page.locator('#replays tbody tr').first().getByText('3 of 3 events').waitFor()
  await until(() => arrived('update').length === 7, { what: 'the missed events to arrive' })
  await page.goto(`${site.url}/couplings?done=activated&id=${id}`)
  expect(await page.getByRole('button', { name: 'Send missed events' }).count()).toBe(0)

  // A backfill: counted, stopped half way, begun anew, and done.
  await site.sql('analyze')
  await page.goto(`${site.url}/couplings/${id}/backfill`)
  await page.getByLabel('Rows per second').fill('0')
  await page.getByRole('button', { name: 'Count' }).click()
  await page.locator('#rows_per_second-problem').getByText('Use a whole number').waitFor()
  await page.getByLabel('Rows per second').fill('1')
  await page.getByRole('button', { name: 'Count' }).click()
  await page
    .locator('#preview')
    .getByText(/about \d+ rows/)
    .waitFor()
  await page.getByRole('button', { name: 'Start backfill' }).click()
  const backfill = page.locator('#backfills tbody tr').first()
  await backfill.getByText('Running').waitFor()
  await backfill.getByText(/of about \d+ rows read/).waitFor()
  await backfill.getByRole('button', { name: 'Cancel' }).click()
  await page.getByText('Backfill cancelled.').waitFor()
  await backfill.getByText('Cancelled', { exact: true }).waitFor()
  await page.goto(`${site.url}/couplings/${id}/backfill?entity_type=user&rows_per_second=1000`)
  await page.getByRole('button', { name: 'Start backfill' }).click()
  await backfill.getByText('Done', { exact: true }).waitFor()
  expect(await findBarriers(page)).toEqual([])
  await context.close()
})
