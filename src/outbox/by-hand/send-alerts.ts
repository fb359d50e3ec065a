import type pg from 'pg'
import { type AlertedIncident, alertBody } from '../../domain/alert/alert-body.ts'
import { incidentPaces } from '../../domain/alert/incident.ts'
import { shareOf } from '../../domain/delivery/share.ts'
import { type AlertTrigger, alertTriggers, storedAlert } from '../../domain/event/alert.ts'
import type { TimeId } from '../../domain/value/time-id.ts'
import { type Outbox, transaction } from '../database/database.ts'
import { lockAllHolders } from '../database/fence.ts'
import { moment, now, rows, statement } from '../database/statement.ts'
import { isOfTenant } from '../log/wanted.ts'
import { addMails } from '../records/alert-mails.ts'
import { type Incident, incidentColumns, toIncident } from '../records/incidents.ts'
import { newAlertIds } from './alert-ids.ts'
import { makeDue, notifyByHand } from './by-hand.ts'

type SentAlert = {
  readonly alert: AlertTrigger
  readonly incidentId: number
  readonly webhookId: number | null
  /** Null: no webhook has the trigger. */
  readonly eventId: TimeId | null
  /** The number of webhooks and mail recipients. */
  readonly webhooks: number
  readonly mails: number
}

/** How many incidents one commit sends the alerts of: it stops every holder meanwhile. */
export const maxAtOnce = 200

/** The unsent alerts of an incident: its beginning after the gathering time, then its end. */
const isUnsent = `
(i.told_at is null and i.opened_at <= now() - (case i.kind
  ${Object.entries(incidentPaces)
    .map(([kind, { gatherMs }]) => `when '${kind}' then interval '${gatherMs} ms'`)
    .join(' ')} end)
or (i.told_at is not null and i.tells_end and i.end_told_at is null))`

/** The ids of incidents with unsent alerts, the oldest first. */
export async function incidentsToSend({ pool }: Pick<Outbox, 'pool'>): Promise<number[]> {
  const { rows } = await pool.query({
    name: 'incidents_to_send',
    text: `select id from walhook.incidents i
           where (told_at is null or (tells_end and end_told_at is null)) and ${isUnsent} order by id limit ${maxAtOnce}`,
  })
  return rows.map(({ id }) => id)
}

/** An unsent alert: its event, and whom it concerns. */
type UnsentAlert = {
  readonly incident: Incident
  readonly alert: AlertTrigger
  readonly tenant: string | null
  readonly event: Event
}
type Event = {
  readonly id: TimeId
  readonly entityType: string
  readonly entityId: string
  readonly actionType: string
  readonly body: string
  readonly at: Date
}

/**
 * Sends the alerts of incidents: an event each, a delivery row per webhook with the trigger, and the mails, in one commit with the
 * mark that they are sent. So each alert is sent once, whatever process crashes. Without a webhook no event is stored. What
 * another process has sent is left out.
 */
export async function sendAlerts(
  outbox: Outbox,
  incidentIds: readonly number[],
  toCapture: readonly string[],
): Promise<SentAlert[]> {
  return await transaction(outbox.pool, async client => {
    // Mails alone change no delivery.
    const isHeard = await isAnyHeard(client)
    if (isHeard) await lockAllHolders(client)
    const alerts = await lockUnsent(client, incidentIds)
    if (alerts.length === 0) return []
    const rows = isHeard ? await insertRows(client, alerts) : []
    for (const [webhookId, own] of Map.groupBy(rows, ({ webhookId }) => webhookId)) {
      await makeDue(client, { webhookId, entities: own, changed: own.map(({ id }) => id) })
      await notifyByHand(client, webhookId)
    }
    const mails = await addMails(client, alerts, toCapture)
    await client.query(
      `with ${moment}
       update walhook.incidents set told_at = coalesce(told_at, ${now}),
              end_told_at = case when told_at is not null then ${now} end where id = any($1)`,
      [alerts.map(({ incident }) => incident.id)],
    )
    const webhooksOf = Map.groupBy(rows, ({ id }) => id)
    return alerts.map(({ incident, alert, event }) => {
      const webhooks = webhooksOf.get(event.id)?.length ?? 0
      return {
        ...{ alert, incidentId: incident.id, webhookId: incident.webhookId },
        ...{ eventId: webhooks === 0 ? null : event.id, webhooks, mails: mails.get(incident.id) ?? 0 },
      }
    })
  })
}

/** Whether an active webhook has an alert as trigger. */
async function isAnyHeard(client: pg.ClientBase): Promise<boolean> {
  const { rows } = await client.query(
    `select exists (select 1 from walhook.webhooks where triggers && $1 and is_active and disabled_at is null) as is_heard`,
    [alertTriggers],
  )
  return rows[0].is_heard
}

async function lockUnsent(client: pg.ClientBase, ids: readonly number[]): Promise<UnsentAlert[]> {
  const { rows } = await client.query(
    `select ${incidentColumns}, i.told_at is not null as is_sent, now() as now, w.name, w.tenant
     from walhook.incidents i left join walhook.webhooks w on w.id = i.webhook_id
     where i.id = any($1) and ${isUnsent} order by i.id for no key update of i`,
    [ids],
  )
  const eventIds = await newAlertIds(client, rows.length)
  return rows.map(({ is_sent, now, name, tenant, ...row }, i) => {
    const incident = toIncident(row)
    const alert: AlertTrigger = is_sent ? 'webhook.recovered' : incident.kind
    const webhook = incident.webhookId === null ? null : { id: incident.webhookId, name }
    const alerted: AlertedIncident = { ...incident, incidentId: incident.id, webhook }
    const body = alertBody(alert, alerted, now)
    const event = { id: eventIds[i]!, ...storedAlert(alert), entityId: incident.subject, body, at: now }
    return { incident, alert, tenant, event }
  })
}

const alertRows = rows<UnsentAlert>(
  { tenant: 'text', alert: 'text' },
  {
    id: ['bigint', ({ event }) => event.id],
    share: ['smallint', ({ event }) => shareOf(event.entityType, event.entityId)],
    entity_type: ['text', ({ event }) => event.entityType],
    entity_id: ['text', ({ event }) => event.entityId],
    action_type: ['text', ({ event }) => event.actionType],
    body: ['text', ({ event }) => event.body],
    about_id: ['int', ({ incident }) => incident.webhookId],
    at: ['timestamptz', ({ event }) => event.at],
  },
)

/**
 * For each active webhook with the trigger that may know of the subject, except the subject itself. An event is for the nonexistent
 * webhook 0, so no stream delivers it; its id is below committed events (`newAlertIds`), so the order of visibility stays.
 */
const insertAlertRows = statement(
  'insert_alerts',
  { alerts: alertRows, triggers: 'text[]' },
  p => `
with w as materialized (
  select id, triggers, tenant from walhook.webhooks where triggers && ${p.triggers} and is_active and disabled_at is null
  order by id for key share
), heard as materialized (
  select w.id as webhook_id, a.*
  from (select a.*, null::text as tenant_before from ${p.alerts('a')}) a
  join w on a.alert = any (w.triggers) and w.id is distinct from a.about_id and ${isOfTenant('a', 'w')}
)
insert into walhook.deliveries (webhook_id, share, entity_type, entity_id, event_id, due_at)
select webhook_id, share, entity_type, entity_id, id, 'infinity' from heard order by webhook_id, id
returning webhook_id, event_id, entity_type, entity_id`,
)

const insertAlertEvents = statement(
  'insert_alert_events',
  { alerts: alertRows },
  p => `
with a as materialized (select a.*, v.version from ${p.alerts('a')} cross join walhook.webhooks_version v)
insert into walhook.events
  (id, share, commit_lsn, index_in_transaction, entity_type, entity_id, action_type, committed_at, body,
   only_webhook_id, webhooks_version, tenant)
select id, share, 'FFFFFFFF/FFFFFFFF', 0, entity_type, entity_id, action_type, at, body, 0, version, tenant from a`,
)

type AlertRow = { webhookId: number; id: TimeId; entityType: string; entityId: string }

async function insertRows(client: pg.ClientBase, alerts: readonly UnsentAlert[]): Promise<AlertRow[]> {
  const { rows } = await insertAlertRows(client, { alerts, triggers: alertTriggers })
  const heard = new Set<TimeId>(rows.map(row => row.event_id))
  const sent = alerts.filter(({ event }) => heard.has(event.id))
  if (sent.length > 0) await insertAlertEvents(client, { alerts: sent })
  return rows.map(row => ({
    webhookId: row.webhook_id,
    id: row.event_id,
    entityType: row.entity_type,
    entityId: row.entity_id,
  }))
}
