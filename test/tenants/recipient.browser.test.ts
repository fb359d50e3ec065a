import { expect } from 'vitest'
import { freePort } from '../../playground/local-port.ts'
import { findInEveryViewport } from '../support/axe.ts'
import { browserTest, useBrowser } from '../support/browser.ts'
import { startSampleSite } from '../support/sample-site.ts'
import { startSmtpServer } from '../support/smtp-server.ts'
import { until } from '../support/wait.ts'

const browser = useBrowser()

browserTest(
  'the owner of an address confirms by the link in a chosen language, and unsubscribes',
  async () => {
    await using smtp = await startSmtpServer()
    const port = await freePort()
    await using site = await startSampleSite(() => 204, {
      PORT: String(port),
      WALHOOK_URL: `http://127.0.0.1:${port}`,
      WALHOOK_SMTP_URL: smtp.url,
      WALHOOK_MAIL_FROM: 'walhook@example.com',
    })
    const { id } = await site.walhook.api('POST', '/api/webhooks', {
      ...{ name: 'CRM', url: site.receiver.url, triggers: ['webhook.failing'], tenant: '1' },
      alert_to: ['jane@example.com'],
    })
    await until(() => smtp.mails.length === 1, { what: 'the email that asks' })
    const text = smtp.mails[0]!.raw.replaceAll('=\n', '').replaceAll('=3D', '=')
    const state = async () => {
      const { data } = await site.walhook.api('GET', `/api/webhooks/${id}/recipients`)
      return (data as { state: string }[])[0]!.state
    }

    const { context, page } = await browser.open()
    await page.goto(/http:\S+\/recipients\/\S+/.exec(text)![0])
    expect(await findInEveryViewport(page)).toEqual([])
    await page.getByRole('button', { name: 'Nederlands' }).click()
    await page.getByRole('button', { name: 'Stuur mij waarschuwingen' }).click()
    await page.getByText('walhook stuurt waarschuwingen over webhooks naar jane@example.com.').waitFor()
    expect(await state()).toBe('confirmed')
    await page.getByRole('button', { name: 'Stuur mij niets' }).click()
    await page.getByText('walhook stuurt geen waarschuwingen naar jane@example.com').waitFor()
    expect(await state()).toBe('stopped')
    await context.close()
  },
)
