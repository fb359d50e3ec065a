import { expect, test } from 'vitest'
import { useLines } from '../../src/commands/kit/use-lines.ts'
import { readConfig } from '../../src/config/config.ts'
import { awaitPublicUrl, noteAddresses } from '../../src/outbox/records/mail-addresses.ts'
import { openTestOutbox } from '../support/open-outbox.ts'

test('check warns of webhook settings that have no effect', async () => {
  await using at = await openTestOutbox()
  const lines = async (env: Record<string, string> = {}) => {
    const read = readConfig([], env)
    if (!read.ok) throw new Error(JSON.stringify(read.problems))
    return (await useLines(at.outbox, read.config)).map(
      ({ level, code, found }) => `${level} ${code}: ${found}`,
    )
  }
  const mail = { WALHOOK_SMTP_URL: 'smtp://mail', WALHOOK_MAIL_FROM: 'a@b.c' }
  expect(await lines()).toEqual(['ok recipients: no webhook has any'])

  const id = await at.webhook(['user.new', 'webhook.failing'])
  await at.webhook(['order.new', 'order.update'], true, { tenant: 'acme' })
  await at.webhook(['invoice.new'], false, { tenant: 'acme' })
  await at.outbox.pool.query(`update walhook.webhooks set alert_to = '{ops@example.com}' where id = $1`, [id])
  expect(await lines()).toEqual([
    'warning recipients: 1 webhook with addresses for alerts, but walhook sends no emails: WALHOOK_SMTP_URL is not set',
    `warning triggers: 1 webhook (such as ${id + 1}) with it, but the mapping has no such entity: nothing is sent for it`,
    `warning triggers: 1 webhook (such as ${id + 1}) with it, but the mapping has no such entity: nothing is sent for it`,
    'warning tenants: 1 webhook, but no entity of the mapping has a tenant: they get no events',
  ])
  await at.outbox.pool.query('delete from walhook.webhooks where id <> $1', [id])
  expect(await lines(mail)).toEqual(['ok recipients: 1 webhook with addresses'])

  await noteAddresses(at.outbox, [{ tenant: 'acme', address: 'ops@example.com' }])
  await awaitPublicUrl(at.outbox)
  expect((await lines(mail))[0]).toContain(
    'could not ask 1 addresses of tenants to confirm: it does not know',
  )
  const set = (text: string) =>
    at.outbox.pool.query(`update walhook.mail_addresses set waits_for = null, ${text}`)
  await set(`ask_at = now() - interval '1 hour'`)
  expect((await lines(mail))[0]).toContain('no process with an SMTP server runs')
  await set(`ask_at = null, taken_at = now(), error = 'EAUTH'`)
  expect((await lines(mail))[0]).toContain(
    'did not accept the emails that ask 1 addresses of tenants to confirm (EAUTH)',
  )
})
