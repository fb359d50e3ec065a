import { type CaptureCode, mendOf } from '../capture/capture-code.ts'
import type { AlertTrigger } from '../event/alert.ts'
import type { AlertedIncident } from './alert-body.ts'

/** Waits in ms after the first, second, … failed attempt of a mail. After the last, a day later, it is dropped. */
export const mailScheduleMs: readonly number[] = [1, 5, 15, 60, 180, 360, 720].map(
  minutes => minutes * 60_000,
)

/** The domain of a sender, for a Message-ID. */
export const domainOf = (from: string): string => /@([^\s>@]+)>?\s*$/.exec(from)?.[1] ?? 'walhook'

/** The mail of one alert, or of several. It names the webhook and the fix: no URL of a receiver, no secret, no data of an entity. */
export function mailOf(
  {
    counts,
    alerts,
  }: {
    /** How many there are of each. */
    readonly counts: ReadonlyMap<AlertTrigger, number>
    /** The first of them. */
    readonly alerts: readonly { readonly alert: AlertTrigger; readonly incident: AlertedIncident }[]
  },
  publicUrl: string | null,
  /** Where its reader stops such mails; null: the operator chose the address. */
  stopPath: string | null = null,
): Mail {
  const mail = mailOfAll(counts, alerts, publicUrl)
  if (stopPath === null || publicUrl === null) return mail
  return { ...mail, text: `${mail.text}\nStop these mails: ${publicUrl}${stopPath}\n` }
}

type Alerts = readonly { readonly alert: AlertTrigger; readonly incident: AlertedIncident }[]

function mailOfAll(
  counts: ReadonlyMap<AlertTrigger, number>,
  alerts: Alerts,
  publicUrl: string | null,
): Mail {
  const count = [...counts.values()].reduce((sum, one) => sum + one, 0)
  const [first] = alerts
  return count === 1 && first
    ? mailOfOne(first.alert, first.incident, publicUrl)
    : mailOfMany(counts, alerts, count, publicUrl)
}

type Mail = { readonly subject: string; readonly text: string }

function mailOfOne(alert: AlertTrigger, incident: AlertedIncident, publicUrl: string | null): Mail {
  const { what, mend } = sentences(alert, incident)
  const path = incident.webhook === null ? '/health' : `/couplings/${incident.webhook.id}/log`
  const lines = [
    `${what}.`,
    '',
    `Since: ${incident.openedAt.toISOString()}`,
    ...(alert === 'webhook.recovered' && incident.endedAt
      ? [`Until: ${incident.endedAt.toISOString()}`]
      : []),
    ...(incident.facts.lost ?? []).map(
      ({ reason, table_name }) => `Lost: ${table_name ?? 'changes of all tables'} (${reason})`,
    ),
    ...(mend === null ? [] : ['', `Fix: ${mend}`]),
    ...(publicUrl === null ? [] : ['', `${publicUrl}${path}`]),
    '',
    `Alert ${alert}, incident ${incident.incidentId}. walhook sends one email for it.`,
  ]
  return { subject: `[walhook] ${what}`, text: `${lines.join('\n')}\n` }
}

function mailOfMany(
  counts: ReadonlyMap<AlertTrigger, number>,
  alerts: Alerts,
  count: number,
  publicUrl: string | null,
): Mail {
  const what = [...counts].map(([alert, many]) => summary(alert, many)).join(', ')
  const isOfCapture = [...counts.keys()].some(alert => alert.startsWith('capture.'))
  const lines = [
    `${what}.`,
    '',
    ...alerts.map(
      ({ alert, incident }) =>
        `- ${sentences(alert, incident).what}, since ${incident.openedAt.toISOString()}`,
    ),
    ...(alerts.length < count ? [`- and ${count - alerts.length} more`] : []),
    ...(publicUrl === null ? [] : ['', `${publicUrl}${isOfCapture ? '/health' : '/couplings'}`]),
    '',
    `${count} alerts in one email: after five emails within an hour, walhook sends one in ten minutes.`,
  ]
  return { subject: `[walhook] ${what}`, text: `${lines.join('\n')}\n` }
}

function summary(alert: AlertTrigger, count: number): string {
  const webhooks = count === 1 ? '1 webhook' : `${count} webhooks`
  switch (alert) {
    case 'webhook.failing':
      return `${webhooks} failing`
    case 'webhook.recovered':
      return `${webhooks} recovered`
    case 'webhook.disabled':
      return `${webhooks} disabled`
    case 'delivery.dead':
      return `${webhooks} with dead letters`
    case 'capture.lost':
      return 'changes were lost'
    case 'capture.blocked':
      return 'capture is blocked'
    case 'capture.lagging':
      return 'capture is lagging'
    default:
      return alert satisfies never
  }
}

function sentences(alert: AlertTrigger, incident: AlertedIncident): { what: string; mend: string | null } {
  // A line break in a name would write lines of its own.
  const name =
    incident.webhook === null
      ? ''
      : `Webhook ${incident.webhook.id} (${incident.webhook.name.replaceAll(/[\s\p{C}]+/gu, ' ')})`
  const mendOfCapture = incident.facts.code ? mendOf(incident.facts.code as CaptureCode) : null
  switch (alert) {
    case 'webhook.failing':
      return { what: `${name} is failing`, mend: 'read its log, then fix the receiver' }
    case 'webhook.recovered':
      return { what: `${name} has recovered`, mend: null }
    case 'webhook.disabled': {
      const why =
        incident.facts.reason === 'gone'
          ? 'its receiver answered 410 Gone'
          : 'its receiver accepted no request for more than five days'
      return {
        what: `${name} was disabled: ${why}`,
        mend: 'fix the receiver, then activate the webhook again',
      }
    }
    case 'delivery.dead':
      return {
        what: `${name} has ${incident.count} ${incident.count === 1 ? 'dead letter' : 'dead letters'}`,
        mend: 'fix the receiver, then choose “Resend all failed” on the Log page of the webhook',
      }
    case 'capture.lost':
      return { what: `Changes were lost (slot ${incident.subject})`, mend: mendOfCapture }
    case 'capture.blocked':
      return { what: `Capture is blocked (slot ${incident.subject})`, mend: mendOfCapture }
    case 'capture.lagging':
      return {
        what: `Capture is lagging (slot ${incident.subject})`,
        mend: 'none, if it catches up. Otherwise check the Health page: the source writes faster than walhook stores, or a database is slow',
      }
    default:
      return alert satisfies never
  }
}
