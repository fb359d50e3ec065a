import { afterAll, beforeAll, expect, test } from 'vitest'
import { en } from '../../src/admin/texts/en.ts'
import { percent } from '../../src/admin/texts/figures.ts'
import { nl } from '../../src/admin/texts/nl.ts'
import { openTestPages } from '../support/open-pages.ts'
import { claim, retry, settle, settlementOf } from '../support/sending.ts'

let at: Awaited<ReturnType<typeof openTestPages>>
beforeAll(async () => {
  at = await openTestPages()
})
afterAll(() => at[Symbol.asyncDispose]())

test('the overview of a webhook shows success rate, response times and the oldest pending event, or that there is no data', async () => {
  const id = await at.webhook(['user.new'])
  const nothing = await at.get(`/couplings/${id}/overview`, 'viewer')
  expect(nothing.status).toBe(200)
  expect(nothing.text).toContain(en.couplings.nothingYet)
  expect(nothing.text).toContain(en.overview.noResponses)
  expect(nothing.text).toContain(en.overview.noPending)

  for (let i = 1; i <= 4; i++) await at.append(`user ${i} new`)
  const lanes = await claim(at, id, 4)
  const settlements = lanes.map((lane, i) => settlementOf(lane, i === 0 ? retry(60_000) : {}))
  await settle(at, ...settlements)
  const { text } = await at.get(`/couplings/${id}/overview`, 'viewer')
  expect(text).toContain(percent(en, 0.75))
  expect(text).toContain(en.overview.ofRequests('1', '4'))
  expect(text).not.toContain(en.overview.noPending)
  expect(text).not.toContain(en.health.sampled)
  expect(text).toContain(en.overview.responseTimeWeek)
  expect((await at.get('/couplings/999999/overview', 'viewer')).status).toBe(404)
  expect(nl.overview.title).toBe('Overzicht')
})
