import type { LanguageCode } from '../../domain/access/language.ts'
import { domainOf, mailOf, mailScheduleMs } from '../../domain/alert/mail-text.ts'
import { isOfDomain, recipientKey, recipientPath, recipientState } from '../../domain/alert/recipient.ts'
import type { SealKey } from '../../domain/webhook/seal.ts'
import { timeOfNewAlert } from '../../outbox/by-hand/alert-ids.ts'
import { incidentsToSend, maxAtOnce, sendAlerts } from '../../outbox/by-hand/send-alerts.ts'
import type { Outbox } from '../../outbox/database/database.ts'
import { ensurePartitions } from '../../outbox/days/partitions.ts'
import { type DueMail, dropMail, settleMail, takeMails } from '../../outbox/records/alert-mails.ts'
import { endLostWithoutGaps, pruneIncidents } from '../../outbox/records/incidents.ts'
import { findAddresses } from '../../outbox/records/mail-addresses.ts'
import type { Log } from '../../runtime/log.ts'
import type { Service } from '../../runtime/service.ts'
import { sleep } from '../../runtime/sleep.ts'
import { askAddresses } from './ask-addresses.ts'
import { type MailSender, type MailSettings, openMail } from './mail.ts'

const pollEveryMs = 2_000
/** The pause between two commits of a flood: holders work. */
const betweenMs = 200
const mailsAtOnce = 5
const tidyEveryMs = 60_000

type AlertOptions = {
  readonly outbox: Outbox
  /** Main's outbox, which may be the same. */
  readonly main: Outbox
  readonly sealKey: SealKey
  /** The domains whose addresses need no confirmation. */
  readonly trustedDomains: readonly string[]
  /** Null: no SMTP server; mails wait. */
  readonly mail: MailSettings | null
  /** The recipients of mails about capture. */
  readonly toCapture: readonly string[]
  /** walhook's public URL, for links in mails; null: unknown. */
  readonly publicUrl: string | null
  /** The language of emails to readers whose own is unknown. */
  readonly language: LanguageCode
  readonly log: Log
}

/**
 * The services that send alerts: to webhooks with the trigger, and by mail. Any number of processes run them, and one of them sends
 * each alert. Webhooks never wait for the mail server.
 */
export function createAlerts(options: AlertOptions): Service[] {
  const { outbox, main, log } = options
  const alerting: Service = {
    name: 'alerts',
    async run(signal) {
      let tidiedAtMs = Number.NEGATIVE_INFINITY
      while (!signal.aborted) {
        const ids = await incidentsToSend(outbox)
        if (ids.length > 0) await sendAll(ids)
        if (performance.now() - tidiedAtMs > tidyEveryMs) {
          tidiedAtMs = performance.now()
          await endLostWithoutGaps(outbox)
          await pruneIncidents(outbox)
        }
        await sleep(ids.length < maxAtOnce ? pollEveryMs : betweenMs, signal)
      }
    },
  }
  if (options.mail === null) return [alerting]
  const settings = options.mail
  const mailing: Service = {
    name: 'alert_mails',
    async run(signal) {
      await using mail = await openMail(settings)
      while (!signal.aborted) {
        if (outbox === main) await askAddresses({ ...options, mail, from: settings.from })
        const due = await takeMails(outbox, mailsAtOnce)
        await Promise.all(due.map(one => send(mail, one)))
        if (due.length < mailsAtOnce) await sleep(pollEveryMs, signal)
      }
    },
  }
  return [alerting, mailing]

  async function sendAll(incidentIds: readonly number[]): Promise<void> {
    // An old newest event has no partition any more: its day is created again.
    await ensurePartitions(outbox, await timeOfNewAlert(outbox.pool))
    for (const sent of await sendAlerts(outbox, incidentIds, options.toCapture))
      log.warn('alert.sent', {
        alert: sent.alert,
        incident_id: sent.incidentId,
        ...(sent.webhookId !== null && { webhook_id: sent.webhookId }),
        ...(sent.eventId !== null && { event_id: String(sent.eventId) }),
        webhooks: sent.webhooks,
        mails: sent.mails,
      })
  }

  /** Whether an address may get alerts of a tenant, in which language, and where its owner stops them (null: nobody was asked). */
  async function recipientOf({ recipient, tenant }: DueMail) {
    const { publicUrl, language } = options
    const to = { publicUrl, language, stopPath: null }
    if (tenant === null || isOfDomain(recipient, options.trustedDomains)) return { mayHear: true, to }
    const row = (await findAddresses(main, tenant, [recipient])).get(recipientKey(recipient))
    const mayHear = row !== undefined && recipientState(row) === 'confirmed'
    if (!mayHear) return { mayHear, to }
    const own = { language: row.language ?? language, stopPath: recipientPath(options.sealKey, row) }
    return { mayHear, to: { ...to, ...own } }
  }

  async function send(mail: MailSender, due: DueMail): Promise<void> {
    const { mayHear, to } = await recipientOf(due)
    if (!mayHear) return await dropMail(outbox, due)
    const { id, lastId, number, counts } = due
    const alerts = [...counts.values()].reduce((sum, one) => sum + one, 0)
    const error = await mail.send({
      to: due.recipient,
      ...mailOf(due, to),
      messageId: `<walhook.${id}.${lastId}.${alerts}@${domainOf(options.mail!.from)}>`,
    })
    const facts = { alerts: Object.fromEntries(counts), mail_id: id, number }
    if (error === null) {
      await settleMail(outbox, due, { error })
      return log.info('alert.mail_sent', facts)
    }
    const retryMs = mailScheduleMs[number - 1] ?? null
    await settleMail(outbox, due, { error, retryMs })
    log.error('alert.mail_failed', { ...facts, reason: error, next_in_ms: retryMs })
  }
}
