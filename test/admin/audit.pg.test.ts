import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { en } from '../../src/admin/texts/en.ts'
import { auditActions } from '../../src/domain/access/audit.ts'
import { openTestPages } from '../support/open-pages.ts'

let at: Awaited<ReturnType<typeof openTestPages>>
beforeAll(async () => {
  at = await openTestPages()
})
beforeEach(async () => {
  await at.outbox.pool.query('delete from walhook.audit')
})
afterAll(() => at[Symbol.asyncDispose]())

const html = '<img src=x onerror=alert(1)>'
async function create(name: string): Promise<number> {
  const body = { name, url: 'http://127.0.0.1:9/', triggers: ['user.new'] }
  return (await at.call('POST', '/api/webhooks', body)).json.id
}
const rows = (text: string) =>
  [...text.matchAll(/<tr>\n(.*?)<\/tr>/gs)].map(([, row]) =>
    row!
      .replaceAll(/<dt>/g, ' ')
      .replaceAll(/<[^>]+>/g, '')
      .replaceAll(/\s+/g, ' ')
      .trim(),
  )

test('each audited action has a text', () => {
  expect(Object.keys(en.audit.actions).sort()).toEqual([...auditActions].sort())
})

test('an empty audit log says what it will contain', async () => {
  // Whoever looks has logged in, and that is recorded.
  expect((await at.get('/audit?webhook=1')).text).toContain('No changes yet')
})

test('the audit log shows who changed what, with old and new values, newest first', async () => {
  const id = await create('CRM')
  await at.call('PATCH', `/api/webhooks/${id}`, { is_active: false, triggers: ['user.new', 'user.delete'] })
  await at.call('GET', `/api/webhooks/${id}/secret`)
  const [shown, changed, created, ...more] = rows((await at.get('/audit')).text)
  expect(more).toEqual([])
  expect(shown).toMatch(/WALHOOK_ADMIN_TOKEN configuration, account 7 Viewed a secretCRM –$/)
  expect(changed).toMatch(/Changed a webhookCRM Is activeYes → No Triggersuser.new → user.new, user.delete$/)
  expect(created).toMatch(
    /Created a webhookCRM 10 fields NameCRM URLhttp:\/\/127.0.0.1:9\/ Is activeYes Triggersuser.new Previous valuesNo traceparentNo When it starts to matchupdate When it stops matchingnothing Modeevery Bodies in the logall$/,
  )
})

test('user input is escaped, and no secret is shown', async () => {
  const id = await create(html)
  const { secret } = (await at.call('GET', `/api/webhooks/${id}/secret`)).json
  await at.call('PATCH', `/api/webhooks/${id}`, { name: `${html} ${secret}` })
  await at.call('POST', '/api/tokens', { name: html, role: 'viewer' })
  const { text } = await at.get('/audit')
  expect(text).not.toContain('<img')
  expect(text).toContain('&lt;img')
  // A name that holds a secret was typed as it is; the record of it was not.
  expect(
    rows(text)
      .join('\n')
      .match(/whsec_/g),
  ).toHaveLength(3)
  expect(text).toContain('(secret)')
})

test('the audit log can be limited to one webhook, also a deleted one', async () => {
  const [crm, erp] = [await create('CRM'), await create('ERP')]
  await at.call('DELETE', `/api/webhooks/${crm}`)
  const all = (await at.get('/audit')).text
  expect(all).toContain(`href="/audit?webhook=${crm}"`)
  expect(all).toContain(`webhook ${crm}, deleted`)
  expect(rows((await at.get(`/audit?webhook=${erp}`)).text)).toHaveLength(1)
  const ofDeleted = (await at.get(`/audit?webhook=${crm}`)).text
  expect(rows(ofDeleted)).toHaveLength(2)
  expect(ofDeleted).toContain(`Showing only “webhook ${crm}, deleted”.`)
})

test('older records are on the next page, which keeps the filter', async () => {
  const id = await create('CRM')
  await at.outbox.pool.query(
    `insert into walhook.audit (actor_kind, actor, action, webhook_id, changes)
     select 'walhook', 'walhook', 'webhook.disabled', $1, jsonb_build_object('disabled_reason', jsonb_build_object('to', i))
     from generate_series(1, 60) as i`,
    [id],
  )
  const first = (await at.get(`/audit?webhook=${id}`)).text
  expect(rows(first)).toHaveLength(50)
  const next = /href="(\/audit\?[^"]*before=\d+)"/.exec(first)![1]!.replaceAll('&amp;', '&')
  expect(next).toContain(`webhook=${id}`)
  const second = (await at.get(next)).text
  expect(rows(second)).toHaveLength(11)
  expect(second).not.toMatch(/href="[^"]*before=/)
  expect(second).toContain(`href="/audit?webhook=${id}"`)
})

test.each(['?webhook=0', '?webhook=x', '?before=x', '?before=99999999999999999999', '?webhook=%00'])(
  'a mistyped address, %s, is reported and shows nothing',
  async query => {
    await create('CRM')
    const { status, text } = await at.get(`/audit${query}`)
    expect(status).toBe(422)
    expect(rows(text)).toHaveLength(0)
  },
)
