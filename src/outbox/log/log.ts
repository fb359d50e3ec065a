import { shareOf } from '../../domain/delivery/share.ts'
import type { ActionType, StoredEvent } from '../../domain/event/event.ts'
import type { Wantable } from '../../domain/event/wanted.ts'
import type { TimeId } from '../../domain/value/time-id.ts'
import type { Outbox } from '../database/database.ts'
import { statement } from '../database/statement.ts'
import { isSkipped } from './waits.ts'
import { stateAt, wants } from './wanted.ts'

/** An event, as delivery reads it. */
export type LogEvent = Wantable & {
  readonly id: TimeId
  readonly share: number
  readonly entityId: string
  readonly body: string
  /** As in `EventFacts`. */
  readonly previous: string | null
  readonly omitted: readonly string[] | null
}

/** A page of the log. Reading continues after `readUpTo`. */
export type LogPage = { readonly events: readonly LogEvent[]; readonly readUpTo: TimeId }

const eventColumns = `
e.id, e.share, e.entity_type, e.entity_id, e.action_type, e.body, e.previous, e.omitted, e.changed, e.webhooks_version,
e.only_webhook_id, e.tenant, e.tenant_before`

/** The approximate memory of an event `e`, without reading out-of-line texts. */
export const bytesOf = 'octet_length(e.body) + coalesce(octet_length(e.previous), 0) + 200'

/**
 * One process appends, one commit after the other, so ids become visible in order: a reader that has seen an id sees
 * everything below. A page is one snapshot.
 */
const readStatement = statement(
  'read_log',
  { after: 'bigint', limit: 'int', maxBytes: 'bigint' },
  p => `
select ${eventColumns}
from (
  select e.*, sum(${bytesOf}) over (order by e.id) - (${bytesOf}) as bytes_before
  from (select * from walhook.events where id > ${p.after} order by id limit ${p.limit}) e
) e
where bytes_before < ${p.maxBytes}
order by e.id`,
)

/** Reads the log after an id: at most `limit` events and `maxBytes` bytes, but at least one event if there is any. */
export async function readLog(
  outbox: Pick<Outbox, 'pool'>,
  from: { readonly after: TimeId; readonly limit: number; readonly maxBytes: number },
): Promise<LogPage> {
  const { rows } = await readStatement(outbox.pool, { ...from, maxBytes: BigInt(from.maxBytes) })
  const events = rows.map(fromRow)
  return { events, readUpTo: events.at(-1)?.id ?? from.after }
}

type ReadFor = Record<'webhookId' | 'tenant' | 'shares' | 'after' | 'scan' | 'limit' | 'maxBytes', string>

/**
 * - scanned: the next events of the log, of all shares
 * - wanted: those of the given shares that the webhook wants and no admin cancelled
 * - fitting: as many of them as fit
 */
const readFor = (
  name: string,
  { scanned, upTo }: { scanned(p: ReadFor): string; upTo(p: ReadFor): string },
) =>
  statement(
    name,
    {
      ...{
        webhookId: 'int',
        tenant: 'text',
        shares: 'smallint[]',
        after: 'bigint',
        scan: 'int',
        limit: 'int',
      },
      maxBytes: 'bigint',
    },
    p => `
with scanned as (
  ${scanned(p)} order by id limit ${p.scan}
), wanted as (
  select ${eventColumns}, sum(${bytesOf}) over (order by e.id) - (${bytesOf}) as bytes_before,
         row_number() over (order by e.id) as ordinal
  from scanned e
  cross join lateral (${stateAt(p.webhookId, 'e.webhooks_version')}) s
  where e.share = any (${p.shares}) and ${wants('e', 's')}
    and not ${isSkipped(p.webhookId, 'e')}
), fitting as (
  select * from wanted where bytes_before < ${p.maxBytes} and ordinal <= ${p.limit}
)
select counts.*, e.*
from (
  select (${upTo(p)}) as scanned_up_to, (select count(*) from wanted) as wanted,
         (select count(*) from fitting) as fitting
) counts
left join fitting e on true
order by e.id`,
  )

const readForNobodys = readFor('read_log_for', {
  scanned: p => `select * from walhook.events where id > ${p.after} and ${p.tenant} is null`,
  upTo: () => 'select max(id) from scanned',
})

/** Events of the tenant only: however many others there are. Behind the last of them, nothing of the log is left to scan. */
const readForTenants = readFor('read_log_for_tenant', {
  scanned(p) {
    const part = (of: string) =>
      `(select * from walhook.events where ${of} and id > ${p.after} order by id limit ${p.scan})`
    const both = [
      part(`tenant = ${p.tenant}`),
      part(`tenant_before = ${p.tenant} and tenant is distinct from ${p.tenant}`),
    ]
    return `select * from (${both.join(' union all ')}) either`
  },
  upTo: p => `case when (select count(*) from scanned) < ${p.scan}
    then greatest(${p.after}, (select max(id) from walhook.events)) else (select max(id) from scanned) end`,
})

/**
 * Reads the log for one webhook that lags: the events of `shares` that it wants and that were not cancelled. Scans at most
 * `scan` events; returns at most `limit` and `maxBytes` bytes.
 */
export async function readLogFor(
  outbox: Pick<Outbox, 'pool'>,
  from: {
    readonly webhookId: number
    /** Null: it has no tenant. */
    readonly tenant: string | null
    readonly shares: readonly number[]
    readonly after: TimeId
    readonly scan: number
    readonly limit: number
    readonly maxBytes: number
  },
): Promise<LogPage> {
  const read = from.tenant === null ? readForNobodys : readForTenants
  const { rows } = await read(outbox.pool, { ...from, maxBytes: BigInt(from.maxBytes) })
  const { scanned_up_to, wanted, fitting } = rows[0]
  const events = rows.filter(row => row.id !== null).map(fromRow)
  const readUpTo = wanted > fitting ? events.at(-1)!.id : (scanned_up_to ?? from.after)
  return { events, readUpTo }
}

/** An appended event, as it would be read. */
export function toLogEvent(
  event: StoredEvent,
  webhooksVersion: number,
  onlyWebhookId: number | null,
): LogEvent {
  const { id, entityType, entityId, actionType, body, facts, of } = event
  return {
    id,
    share: shareOf(entityType, entityId),
    entityType,
    entityId,
    actionType,
    body,
    previous: facts?.previous ?? null,
    omitted: facts?.omitted ?? null,
    changed: facts?.changed ?? null,
    webhooksVersion,
    onlyWebhookId,
    tenant: of?.tenant ?? null,
    tenantBefore: of?.tenantBefore ?? null,
  }
}

// biome-ignore lint/suspicious/noExplicitAny: as node-postgres gives it
export function fromRow(row: any): LogEvent {
  return {
    id: row.id,
    share: row.share,
    entityType: row.entity_type,
    entityId: row.entity_id,
    actionType: row.action_type as ActionType,
    body: row.body,
    previous: row.previous,
    omitted: row.omitted,
    changed: row.changed,
    webhooksVersion: row.webhooks_version,
    onlyWebhookId: row.only_webhook_id,
    tenant: row.tenant,
    tenantBefore: row.tenant_before,
  }
}
