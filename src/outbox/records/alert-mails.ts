import type pg from 'pg'
import type { Told } from '../../domain/alert/alert-body.ts'
import type { AlertTrigger } from '../../domain/event/alert.ts'
import type { Outbox } from '../database/database.ts'
import { type Incident, incidentColumns, toIncident } from './incidents.ts'

/** Adds a mail for each recipient: the webhook's, or `toCapture`. Returns their number. */
export async function addMails(
  client: pg.ClientBase,
  incident: Incident,
  alert: AlertTrigger,
  toCapture: readonly string[],
): Promise<number> {
  const { rowCount } = await client.query(
    `insert into walhook.alert_mails (incident_id, alert, recipient)
     select $1, $2, recipient
     from unnest(case when $3::int is null then $4::text[] else (select alert_to from walhook.webhooks where id = $3) end) recipient
     on conflict do nothing`,
    [incident.id, alert, incident.webhookId, toCapture],
  )
  return rowCount ?? 0
}

export type DueMail = {
  readonly id: number
  readonly alert: AlertTrigger
  readonly recipient: string
  /** The attempts so far, this one included. */
  readonly number: number
  readonly told: Told
}

/** A taken mail is exclusive for this long, which is more than sending takes. */
const takenForMs = 120_000

/** Takes due mails and counts the attempt: after a crash, the mail is sent again later. */
export async function takeMails({ pool }: Pick<Outbox, 'pool'>, most: number): Promise<DueMail[]> {
  const { rows } = await pool.query({
    name: 'take_mails',
    text: `
with due as materialized (
  select id from walhook.alert_mails where due_at <= now() order by due_at limit $1 for update skip locked
), taken as (
  update walhook.alert_mails m set due_at = now() + $2 * interval '1 ms', attempts = attempts + 1
  from due where m.id = due.id
  returning m.id as mail_id, m.incident_id, m.alert, m.recipient, m.attempts
)
select t.mail_id, t.alert, t.recipient, t.attempts, w.name as webhook_name, ${incidentColumns}
from taken t join walhook.incidents i on i.id = t.incident_id left join walhook.webhooks w on w.id = i.webhook_id`,
    values: [most, takenForMs],
  })
  return rows.map(({ mail_id, alert, recipient, attempts, webhook_name, ...row }) => {
    const incident = toIncident(row)
    const { webhookId } = incident
    const webhook = webhookId === null ? null : { id: webhookId, name: webhook_name as string }
    return {
      id: mail_id,
      alert,
      recipient,
      number: attempts,
      told: { ...incident, incidentId: incident.id, webhook },
    }
  })
}

/** Records the result of a mail; `retryMs` null: it is dropped. */
export async function settleMail(
  { pool }: Pick<Outbox, 'pool'>,
  id: number,
  outcome: { readonly error: null } | { readonly error: string; readonly retryMs: number | null },
): Promise<void> {
  if (outcome.error === null)
    await pool.query(
      `update walhook.alert_mails set sent_at = now(), due_at = null, error = null where id = $1`,
      [id],
    )
  else
    await pool.query(
      `update walhook.alert_mails set error = $2, due_at = now() + $3 * interval '1 ms' where id = $1 and sent_at is null`,
      [id, outcome.error.slice(0, 500), outcome.retryMs],
    )
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
