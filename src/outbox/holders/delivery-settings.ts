import type { Skip } from '../../domain/delivery/skip.ts'
import type { WebhookState } from '../../domain/event/wanted.ts'
import type { Batching, Mode } from '../../domain/webhook/webhook.ts'
import type { Sealed } from '../../domain/webhook/webhook-secrets.ts'
import type { Outbox } from '../database/database.ts'
import { statement } from '../database/statement.ts'
import { sealedColumns, toSealed } from '../records/secrets.ts'
import { toBatching } from '../records/webhooks.ts'

export type DeliverySettings = {
  readonly id: number
  /** Null: it gets the entities of all. */
  readonly tenant: string | null
  readonly url: string
  readonly sealed: Sealed
  /** The ms until the previous secret expires; null: none. */
  readonly previousSecretEndsInMs: number | null
  readonly mode: Mode
  readonly batch: Batching | null
  readonly withPrevious: boolean
  /** Whether requests have the header `traceparent`. */
  readonly traceparent: boolean
  /** Active by the admin's switch, not disabled by walhook, and not being moved. */
  readonly isActive: boolean
  /** No recent success, as of this reading. */
  readonly isFailing: boolean
  /** The remaining Retry-After in ms; null: none. */
  readonly heldInMs: number | null
  /** In ascending order: the newest version, and earlier ones that events of the log may refer to. */
  readonly states: readonly WebhookState[]
  readonly skips: readonly Skip[]
}

/** The lowest version of events after a position: of the first such event, or of the newest append. */
const versionAfter = (position: string) => `coalesce(
  (select webhooks_version from walhook.events where id > ${position} order by id limit 1),
  (select max(webhooks_version) from walhook.positions),
  0)`

/**
 * - changed: the webhooks changed since a version, each with its lowest position
 * - versioned: with the lowest version of events after it. One snapshot: later events have no older version.
 */
const readStatement = statement(
  'delivery_settings',
  { sinceVersion: 'int' },
  p => `
with main as materialized (
  select coalesce(min(settled_up_to), 0) as position from walhook.shares
), main_version as materialized (
  select ${versionAfter('(select position from main)')} as version
), changed as (
  select w.*, own.position as own_position
  from walhook.webhooks w
  left join lateral (select min(settled_up_to) as position from walhook.streams where webhook_id = w.id) own on true
  where w.changed_in_version > ${p.sinceVersion}
), versioned as (
  select c.*, least(c.own_position, main.position) as position,
         case when c.own_position < main.position then ${versionAfter('c.own_position')} else main_version.version end as oldest_version
  from changed c, main, main_version
)
select (select version from walhook.webhooks_version) as version, (select count(*)::int from walhook.webhooks) as count, w.id, w.tenant, w.url, ${sealedColumns},
       (extract(epoch from w.previous_secret_expires_at - clock_timestamp()) * 1000)::float8 as previous_ends_in_ms,
       w.mode, w.batch_max_events, w.batch_max_wait_ms, w.previous as with_previous, w.traceparent,
       w.is_active and w.disabled_at is null and w.moving_to is null as is_active, w.failing_since is not null as is_failing,
       (extract(epoch from w.held_until - clock_timestamp()) * 1000)::float8 as held_in_ms,
       states.json as states, skips.json as skips
from (select) one
left join versioned w on true
left join lateral (
  select json_agg(json_build_object(
           'version', version, 'isActive', is_active and disabled_reason is null, 'triggers', triggers,
           'updateFields', update_fields,
           'filter', case when filter is not null then json_build_object(
             'fields', filter, 'entering', filter_entering, 'leaving', filter_leaving) end) order by version) as json
  from walhook.webhook_states s
  where s.webhook_id = w.id and s.version >= coalesce(
    (select max(version) from walhook.webhook_states where webhook_id = w.id and version <= w.oldest_version), 0)
) states on true
left join lateral (
  select json_agg(json_build_object(
           'entityType', entity_type, 'entityId', entity_id, 'afterId', after_id::text, 'upTo', up_to::text)) as json
  from walhook.skips k where k.webhook_id = w.id and k.up_to > w.position
) skips on true
order by w.id`,
)

/** The webhooks changed since a version (-1: all), and the present version. `gone`: known webhooks that were deleted. */
export async function readDeliverySettings(
  outbox: Pick<Outbox, 'pool'>,
  known: { readonly sinceVersion: number; readonly ids: ReadonlySet<number> },
): Promise<{ version: number; webhooks: DeliverySettings[]; gone: number[] }> {
  const { rows } = await readStatement(outbox.pool, { sinceVersion: known.sinceVersion })
  const { version, count } = rows[0]
  const webhooks = rows.filter(row => row.id !== null).map(toSettings)
  // Unknown webhooks count as changed: equal counts show that none is missing.
  const all = new Set([...known.ids, ...webhooks.map(({ id }) => id)])
  if (all.size === count) return { version, webhooks, gone: [] }
  const { rows: there } = await outbox.pool.query('select id from walhook.webhooks')
  const ids = new Set(there.map(row => row.id))
  return { version, webhooks, gone: [...known.ids].filter(id => !ids.has(id)) }
}

// biome-ignore lint/suspicious/noExplicitAny: as node-postgres gives it
function toSettings(row: any): DeliverySettings {
  const sealed = toSealed(row)
  return {
    id: row.id,
    tenant: row.tenant,
    url: row.url,
    sealed,
    previousSecretEndsInMs: sealed.previousSecret === null ? null : row.previous_ends_in_ms,
    mode: row.mode,
    batch: toBatching(row),
    withPrevious: row.with_previous,
    traceparent: row.traceparent,
    isActive: row.is_active,
    isFailing: row.is_failing,
    heldInMs: row.held_in_ms > 0 ? row.held_in_ms : null,
    states: row.states ?? [],
    skips: ((row.skips ?? []) as SkipRow[]).map(toSkip),
  }
}

type SkipRow = { entityType: string | null; entityId: string | null; afterId: string; upTo: string }

function toSkip({ entityType, entityId, afterId, upTo }: SkipRow): Skip {
  return {
    entity: entityType === null || entityId === null ? null : { entityType, entityId },
    afterId: BigInt(afterId),
    upTo: BigInt(upTo),
  }
}
