import type pg from 'pg'
import { alertBody, type Told } from '../../domain/alert/alert-body.ts'
import { incidentPaces } from '../../domain/alert/incident.ts'
import { type AlertTrigger, storedAlert } from '../../domain/event/alert.ts'
import type { TimeId } from '../../domain/value/time-id.ts'
import { type Outbox, transaction } from '../database/database.ts'
import { lockAllHolders } from '../database/fence.ts'
import { isOfTenant } from '../log/wanted.ts'
import { addMails } from '../records/alert-mails.ts'
import { type Incident, incidentColumns, toIncident } from '../records/incidents.ts'
import { newAlertId } from './alert-ids.ts'
import { makeDue, tellByHand } from './by-hand.ts'

/** A sent alert, for the log. */
export type ToldAlert = {
  readonly alert: AlertTrigger
  readonly incidentId: number
  readonly webhookId: number | null
  /** Null: no webhook has the trigger. */
  readonly eventId: TimeId | null
  /** The number of webhooks and mail recipients. */
  readonly webhooks: number
  readonly mails: number
}

type Untold = { readonly incident: Incident; readonly alert: AlertTrigger }

/** The unsent alerts of an incident: its beginning after the gathering time, then its end. */
const untold = `
(i.told_at is null and i.opened_at <= now() - (case i.kind
  ${Object.entries(incidentPaces)
    .map(([kind, { gatherMs }]) => `when '${kind}' then interval '${gatherMs} ms'`)
    .join(' ')} end)
or (i.told_at is not null and i.tells_end and i.end_told_at is null))`

/** The ids of incidents with unsent alerts. */
export async function untoldIncidents({ pool }: Pick<Outbox, 'pool'>): Promise<number[]> {
  const { rows } = await pool.query({
    name: 'untold_incidents',
    text: `select id from walhook.incidents i
           where (told_at is null or (tells_end and end_told_at is null)) and ${untold} order by id limit 100`,
  })
  return rows.map(({ id }) => id)
}

/**
 * Sends an incident's alert: an event, a delivery row per webhook with the trigger, and the mails, in one commit with the
 * mark that it is sent. So each alert is sent once, whatever process crashes. Without a webhook no event is stored. Null:
 * another process sent it.
 */
export async function tellIncident(
  outbox: Outbox,
  incidentId: number,
  toCapture: readonly string[],
): Promise<ToldAlert | null> {
  return await transaction(outbox.pool, async client => {
    await lockAllHolders(client)
    const next = await lockUntold(client, incidentId)
    if (!next) return null
    const { incident, alert } = next
    const webhook = await findName(client, incident.webhookId)
    const { rows } = await client.query('select now() as now')
    const told: Told = { ...incident, incidentId: incident.id, webhook }
    const event = {
      ...storedAlert(alert),
      entityId: incident.subject,
      body: alertBody(alert, told, rows[0].now),
    }
    const eventId = await insertAlert(client, event, incident.webhookId)
    const webhookIds = await insertRows(client, alert, incident.webhookId, eventId)
    // Without receivers, the event would be counted among the application's.
    if (webhookIds.length === 0) await client.query('delete from walhook.events where id = $1', [eventId])
    const entities = [{ entityType: event.entityType, entityId: event.entityId }]
    for (const webhookId of webhookIds) {
      await makeDue(client, { webhookId, entities, changed: [eventId] })
      await tellByHand(client, webhookId)
    }
    const mails = await addMails(client, incident, alert, toCapture)
    await client.query(
      `update walhook.incidents set told_at = coalesce(told_at, now()),
              end_told_at = case when told_at is not null then now() end where id = $1`,
      [incidentId],
    )
    return {
      ...{ alert, incidentId, webhookId: incident.webhookId, mails },
      eventId: webhookIds.length === 0 ? null : eventId,
      webhooks: webhookIds.length,
    }
  })
}

async function lockUntold(client: pg.ClientBase, id: number): Promise<Untold | null> {
  const { rows } = await client.query(
    `select ${incidentColumns}, i.told_at is not null as is_told from walhook.incidents i where id = $1 and ${untold} for update`,
    [id],
  )
  if (!rows[0]) return null
  const { is_told, ...row } = rows[0]
  const incident = toIncident(row)
  return { incident, alert: is_told ? 'webhook.recovered' : incident.kind }
}

async function findName(client: pg.ClientBase, id: number | null): Promise<Told['webhook']> {
  if (id === null) return null
  const { rows } = await client.query('select id, name from walhook.webhooks where id = $1 for key share', [
    id,
  ])
  return rows[0] ?? null
}

/**
 * An event that no stream delivers: it is for the nonexistent webhook 0. Its id is below committed events (`newAlertId`), so
 * the order of visibility stays; capture does not see it.
 */
async function insertAlert(
  client: pg.ClientBase,
  event: { entityType: string; entityId: string; actionType: string; body: string },
  aboutId: number | null,
): Promise<TimeId> {
  const id = await newAlertId(client)
  await client.query(
    `insert into walhook.events
       (id, share, commit_lsn, index_in_transaction, entity_type, entity_id, action_type, committed_at, body,
        only_webhook_id, webhooks_version, tenant)
     select $1, walhook.share_of($2, $3), 'FFFFFFFF/FFFFFFFF', 0, $2, $3, $4, now(), $5, 0, version,
            (select tenant from walhook.webhooks where id = $6)
     from walhook.webhooks_version`,
    [id, event.entityType, event.entityId, event.actionType, event.body, aboutId],
  )
  return id
}

/** For each active webhook with the trigger that may know of the subject, except the subject itself. */
async function insertRows(
  client: pg.ClientBase,
  trigger: AlertTrigger,
  aboutId: number | null,
  eventId: TimeId,
): Promise<number[]> {
  const { rows } = await client.query(
    `with w as (
       select id from walhook.webhooks w
       where $1 = any (triggers) and is_active and disabled_at is null and id is distinct from $2
         and exists (select 1 from walhook.events e where e.id = $3 and ${isOfTenant('e', 'w')})
       order by id for key share
     )
     insert into walhook.deliveries (webhook_id, share, entity_type, entity_id, event_id, due_at)
     select w.id, e.share, e.entity_type, e.entity_id, e.id, 'infinity'
     from w cross join (select * from walhook.events where id = $3) e
     returning webhook_id`,
    [trigger, aboutId, eventId],
  )
  return rows.map(row => row.webhook_id)
}
