import type { LanguageCode } from '../access/language.ts'
import type { AlertTrigger } from '../event/alert.ts'
import type { AlertedIncident } from './alert-body.ts'
import type { MailFacts } from './mail-facts.ts'
import { mailMoment, mailTexts } from './mail-texts.ts'

/** Waits in ms after the first, second, … failed attempt of a mail. After the last, a day later, it is dropped. */
export const mailScheduleMs: readonly number[] = [1, 5, 15, 60, 180, 360, 720].map(
  minutes => minutes * 60_000,
)

/** The domain of a sender, for a Message-ID. */
export const domainOf = (from: string): string => /@([^\s>@]+)>?\s*$/.exec(from)?.[1] ?? 'walhook'

type Mail = { readonly subject: string; readonly text: string }
type Alert = { readonly alert: AlertTrigger; readonly incident: AlertedIncident }
type To = {
  readonly language: LanguageCode
  readonly publicUrl: string | null
  /** Where its reader stops such mails; null: the operator chose the address. */
  readonly stopPath?: string | null
}

/** The mail of one alert, or of several. It names the webhook and the fix: no URL of a receiver, no secret, no data of an entity. */
export function mailOf(
  {
    counts,
    alerts,
  }: {
    /** How many there are of each. */
    readonly counts: ReadonlyMap<AlertTrigger, number>
    /** The first of them. */
    readonly alerts: readonly Alert[]
  },
  to: To,
): Mail {
  const count = [...counts.values()].reduce((sum, one) => sum + one, 0)
  const [first] = alerts
  const { subject, lines } = count === 1 && first ? ofOne(first, to) : ofMany(counts, { alerts, count }, to)
  const { language, publicUrl, stopPath = null } = to
  const stop =
    stopPath !== null && publicUrl !== null ? ['', mailTexts[language].stop(publicUrl + stopPath)] : []
  return written(subject, [...lines, ...stop])
}

/** The mail that asks an address. It holds nothing that a tenant has written, which could be an advertisement. */
export function askingMail(
  path: string,
  { language, publicUrl }: { language: LanguageCode; publicUrl: string },
): Mail {
  const { confirm } = mailTexts[language]
  return written(confirm.subject, [
    confirm.who(publicUrl),
    '',
    confirm.open,
    `${publicUrl}${path}`,
    '',
    confirm.otherwise,
  ])
}

const written = (subject: string, lines: readonly string[]): Mail => ({
  subject: `[walhook] ${subject}`,
  text: `${lines.join('\n')}\n`,
})

type Content = { readonly subject: string; readonly lines: readonly string[] }

function ofOne({ alert, incident }: Alert, to: To): Content {
  const { language } = to
  const t = mailTexts[language]
  const facts = factsOf(incident, language)
  const what = t.alerts[alert].what(facts)
  const fix = t.alerts[alert].fix(facts)
  const path = incident.webhook === null ? '/health' : `/couplings/${incident.webhook.id}/log`
  const lines = [
    `${what}.`,
    '',
    t.since(mailMoment(language, incident.openedAt)),
    ...(alert === 'webhook.recovered' && incident.endedAt
      ? [t.until(mailMoment(language, incident.endedAt))]
      : []),
    ...(incident.facts.lost ?? []).map(({ reason, table_name }) => t.lost(table_name, reason)),
    ...(fix === null ? [] : ['', t.fix(fix)]),
    ...linkTo(path, to),
    '',
    t.one(alert, incident.incidentId),
  ]
  return { subject: what, lines }
}

function ofMany(
  counts: ReadonlyMap<AlertTrigger, number>,
  { alerts, count }: { alerts: readonly Alert[]; count: number },
  to: To,
): Content {
  const { language } = to
  const t = mailTexts[language]
  const what = [...counts].map(([alert, many]) => t.alerts[alert].many(many)).join(', ')
  const isOfCapture = [...counts.keys()].some(alert => alert.startsWith('capture.'))
  const lines = [
    `${what}.`,
    '',
    ...alerts.map(
      ({ alert, incident }) =>
        `- ${t.line(t.alerts[alert].what(factsOf(incident, language)), mailMoment(language, incident.openedAt))}`,
    ),
    ...(alerts.length < count ? [`- ${t.more(count - alerts.length)}`] : []),
    ...linkTo(isOfCapture ? '/health' : '/couplings', to),
    '',
    t.together(count),
  ]
  return { subject: what, lines }
}

/** A tenant's reader may have no token: the pages open from their own application. */
function linkTo(path: string, { language, publicUrl, stopPath = null }: To): string[] {
  if (publicUrl === null) return []
  return ['', `${publicUrl}${path}`, ...(stopPath === null ? [] : [mailTexts[language].otherWay])]
}

function factsOf({ webhook, subject, count, facts }: AlertedIncident, language: LanguageCode): MailFacts {
  // A line break in a name would write lines of its own.
  const onOneLine = (name: string) => name.replaceAll(/[\s\p{C}]+/gu, ' ')
  return {
    name: webhook === null ? '' : mailTexts[language].webhook(webhook.id, onOneLine(webhook.name)),
    slot: subject,
    count,
    isGone: facts.reason === 'gone',
    code: facts.code ?? null,
  }
}
