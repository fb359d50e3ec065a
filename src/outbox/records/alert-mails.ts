import type pg from 'pg'
import type { AlertedIncident } from '../../domain/alert/alert-body.ts'
import { mailPaceMs, nextMailAt } from '../../domain/alert/mail-pace.ts'
import type { AlertTrigger } from '../../domain/event/alert.ts'
import { type Outbox, transaction } from '../database/database.ts'
import { fields } from '../database/fields.ts'
import { newIds } from '../database/new-ids.ts'
import { rows, statement } from '../database/statement.ts'
import { lockKey } from '../schema/in-schema.ts'
import { type Incident, incidentColumns, toIncident } from './incidents.ts'

type Alert = { readonly incident: Incident; readonly alert: AlertTrigger }

type Mail = {
  readonly incidentId: number
  readonly alert: AlertTrigger
  readonly tenant: string | null
  readonly recipient: string
}

const mailsOf = statement(
  'mails_of_alerts',
  {
    alerts: rows<Alert>(
      { alert: 'text' },
      {
        incident_id: ['int', ({ incident }) => incident.id],
        webhook_id: ['int', ({ incident }) => incident.webhookId],
      },
    ),
    toCapture: 'text[]',
  },
  p => `
select a.incident_id, a.alert, w.tenant, recipient
from ${p.alerts('a')} left join walhook.webhooks w on w.id = a.webhook_id
cross join unnest(case when a.webhook_id is null then ${p.toCapture} else w.alert_to end) recipient`,
)

const insertMails = statement(
  'insert_mails',
  {
    mails: rows<Mail & { readonly id: bigint }>({
      id: 'bigint',
      incidentId: 'int',
      alert: 'text',
      tenant: 'text',
      recipient: 'text',
    }),
  },
  p => `
insert into walhook.alert_mails (id, incident_id, alert, tenant, recipient) overriding system value
select id, incident_id, alert, tenant, recipient from ${p.mails('m')}
on conflict do nothing
returning incident_id`,
)

/** Adds a mail for each alert and recipient: the webhook's, or `toCapture`. Returns the number by incident. */
export async function addMails(
  client: pg.ClientBase,
  alerts: readonly Alert[],
  toCapture: readonly string[],
): Promise<ReadonlyMap<number, number>> {
  const counts = new Map<number, number>()
  const { rows: found } = await mailsOf(client, { alerts, toCapture })
  if (found.length === 0) return counts
  const ids = await newIds(client, 'alert_mails', found.length)
  const mails = found.map((row, i) => ({ ...fields<Mail>(row), id: ids[i]! }))
  const { rows } = await insertMails(client, { mails })
  for (const { incident_id: id } of rows) counts.set(id, (counts.get(id) ?? 0) + 1)
  return counts
}

/** The alerts for one address about the webhooks of one tenant (null: all others, and capture): one mail. */
export type DueMail = {
  readonly recipient: string
  readonly tenant: string | null
  readonly takenAt: Date
  /** The lowest id of its alerts, and the highest. */
  readonly id: number
  readonly lastId: number
  /** The attempts of the newest of them, this one included. */
  readonly number: number
  /** How many there are of each. */
  readonly counts: ReadonlyMap<AlertTrigger, number>
  /** The first of them, at most `maxNamed`. */
  readonly alerts: readonly { readonly alert: AlertTrigger; readonly incident: AlertedIncident }[]
}

/** A taken mail is exclusive for this long, which is longer than sending takes. */
const takenForMs = 120_000
const maxNamed = 50
/** A unique number of advisory locks: one process takes at a time, so that an address gets one mail. */
const takingLock = lockKey(0x6d61696c)

/** Without a lock, as nearly always none is due. */
async function isAnyDue(pool: pg.Pool): Promise<boolean> {
  const { rows } = await pool.query({
    name: 'is_mail_due',
    text: 'select exists (select 1 from walhook.alert_mails where due_at <= now()) as is_due',
  })
  return rows[0].is_due
}

/** Takes the due mails to at most `max` addresses, and counts the attempt: after a crash, it is sent again later. */
export async function takeMails({ pool }: Pick<Outbox, 'pool'>, max: number): Promise<DueMail[]> {
  if (!(await isAnyDue(pool))) return []
  return await transaction(pool, async client => {
    await client.query(`select pg_advisory_xact_lock(${takingLock})`)
    const { rows: due } = await client.query({
      name: 'due_recipients',
      text: `select recipient, tenant, now() as now from walhook.alert_mails where due_at <= now()
             group by recipient, tenant order by min(due_at) limit $1`,
      values: [max],
    })
    const taken: DueMail[] = []
    for (const { recipient, tenant } of due) {
      const laterAt = nextMailAt(await sentTo(client, recipient, tenant))
      if (laterAt !== null && laterAt > due[0].now) await putOff(client, { recipient, tenant, laterAt })
      else taken.push(await take(client, recipient, tenant))
    }
    return taken
  })
}

/** In ms, the precision of a Date. */
const moment = `date_trunc('milliseconds', now())`
const isOf = 'recipient = $1 and tenant is not distinct from $2'

async function sentTo(client: pg.ClientBase, recipient: string, tenant: string | null): Promise<Date[]> {
  const { rows } = await client.query({
    name: 'mails_sent_to',
    text: `select distinct taken_at from walhook.alert_mails
           where ${isOf} and taken_at > now() - $3 * interval '1 ms'`,
    values: [recipient, tenant, mailPaceMs],
  })
  return rows.map(({ taken_at }) => taken_at)
}

async function putOff(
  client: pg.ClientBase,
  { recipient, tenant, laterAt }: { recipient: string; tenant: string | null; laterAt: Date },
): Promise<void> {
  await client.query({
    name: 'put_off_mails',
    text: `update walhook.alert_mails set due_at = $3 where ${isOf} and due_at <= now()`,
    values: [recipient, tenant, laterAt],
  })
}

async function take(client: pg.ClientBase, recipient: string, tenant: string | null): Promise<DueMail> {
  const { rows: counts } = await client.query({
    name: 'take_mails',
    text: `
with taken as (
  update walhook.alert_mails
  set due_at = now() + $3 * interval '1 ms', taken_at = ${moment}, attempts = attempts + 1
  where ${isOf} and due_at <= now()
  returning id, alert, attempts
)
select alert, count(*)::int as count, min(id) as first, max(id) as last, min(attempts) as attempts, ${moment} as now
from taken group by alert order by alert`,
    values: [recipient, tenant, takenForMs],
  })
  const takenAt: Date = counts[0].now
  const { rows: named } = await client.query({
    name: 'name_mails',
    text: `
select m.alert as mailed, w.name as webhook_name, ${incidentColumns}
from walhook.alert_mails m join walhook.incidents i on i.id = m.incident_id left join walhook.webhooks w on w.id = i.webhook_id
where m.recipient = $1 and m.tenant is not distinct from $2 and m.taken_at = ${moment} order by m.id limit ${maxNamed}`,
    values: [recipient, tenant],
  })
  return {
    ...{ recipient, tenant, takenAt },
    id: Math.min(...counts.map(({ first }) => first)),
    lastId: Math.max(...counts.map(({ last }) => last)),
    number: Math.min(...counts.map(({ attempts }) => attempts)),
    counts: new Map(counts.map(({ alert, count }) => [alert, count])),
    alerts: named.map(({ mailed, webhook_name, ...row }) => {
      const incident = toIncident(row)
      const { webhookId } = incident
      const webhook = webhookId === null ? null : { id: webhookId, name: webhook_name as string }
      return { alert: mailed, incident: { ...incident, incidentId: incident.id, webhook } }
    }),
  }
}

/** Records the result of a mail; `retryMs` null: it is dropped. */
export async function settleMail(
  { pool }: Pick<Outbox, 'pool'>,
  { recipient, tenant, takenAt }: DueMail,
  outcome: { readonly error: null } | { readonly error: string; readonly retryMs: number | null },
): Promise<void> {
  const isTaken = `${isOf} and taken_at = $3 and sent_at is null`
  if (outcome.error === null)
    await pool.query(
      `update walhook.alert_mails set sent_at = now(), due_at = null, error = null where ${isTaken}`,
      [recipient, tenant, takenAt],
    )
  else
    await pool.query(
      `update walhook.alert_mails set error = $4, due_at = now() + $5 * interval '1 ms' where ${isTaken}`,
      [recipient, tenant, takenAt, outcome.error.slice(0, 500), outcome.retryMs],
    )
}

/** Deletes a mail that its recipient may not get. */
export async function dropMail(
  { pool }: Pick<Outbox, 'pool'>,
  { recipient, tenant, takenAt }: DueMail,
): Promise<void> {
  await pool.query(`delete from walhook.alert_mails where ${isOf} and taken_at = $3 and sent_at is null`, [
    recipient,
    tenant,
    takenAt,
  ])
}

/** Last week's undelivered mails. */
export type MailTrouble = {
  /** To be retried. */
  readonly failed: number
  readonly givenUp: number
  /** Due for minutes without an attempt: no process has an SMTP server. */
  readonly waiting: number
  readonly lastError: string | null
}

export async function readMailTrouble({ pool }: Pick<Outbox, 'pool'>): Promise<MailTrouble> {
  const { rows } = await pool.query(`
    select count(*) filter (where m.error is not null and due_at is not null)::int as failed,
           count(*) filter (where due_at is null)::int as given_up,
           count(*) filter (where attempts = 0)::int as waiting,
           (array_agg(m.error order by m.id desc))[1] as last_error
    from walhook.alert_mails m join walhook.incidents i on i.id = m.incident_id
    where m.sent_at is null and (m.error is not null or (attempts = 0 and due_at < now() - interval '2 minutes'))
      and i.last_at > now() - interval '7 days'`)
  const { failed, given_up: givenUp, waiting, last_error: lastError } = rows[0]
  return { failed, givenUp, waiting, lastError }
}
