import type pg from 'pg'
import type { Entity } from '../../domain/event/entity.ts'
import { firstIdAt, type TimeId } from '../../domain/value/time-id.ts'
import type { Outbox } from '../database/database.ts'
import { fields } from '../database/fields.ts'
import { parameters } from '../database/statement.ts'
import { isMeantFor, isOfTenant, wants } from '../log/wanted.ts'
import type { Count } from '../reading/queue-depth.ts'
import { askFor } from './ask.ts'
import { lockToSend, type NotSending } from './by-hand.ts'

/** The events to send again. Ranges include their beginning and exclude their end. */
export type ReplaySource =
  | {
      readonly of: 'range'
      readonly from: TimeId
      readonly to: TimeId
      /** As user.new; null: every event. */
      readonly triggers: readonly string[] | null
      /** Only events appended while the webhook was inactive. */
      readonly missed?: Versions | null
    }
  | { readonly of: 'ids'; readonly ids: readonly TimeId[] }
  /** Events that failed in a time range and were not delivered since. */
  | { readonly of: 'failed'; readonly from: Date; readonly to: Date }

/** From the version in which a webhook became inactive, up to the one in which it was active again; null: it is not. */
export type Versions = { readonly from: number; readonly to: number | null }

type Replayed =
  | NotSending
  /** `onPage` returned false: the last page was rolled back. */
  | { readonly state: 'stopped' }
  | {
      readonly state: 'queued'
      /** The number of new or restarted deliveries. */
      readonly queued: number
      /** The last finished entity if there are more; null at the end. */
      readonly next: Entity | null
    }

/** An attempt gets its id when it is logged, which may be later than it began: this bounds the days to search. */
const longestLoggingMs = 3_600_000

/**
 * The events with a failed attempt in a time range and no delivery since: dead, or pending after a failure. From all failed
 * attempts and their batches, or from the `newest` only.
 */
function failedEvents(
  given: (value: unknown) => string,
  webhookId: number,
  { from, to, newest }: { from: Date; to: Date; newest?: number },
) {
  const [w, limit] = [given(webhookId), newest === undefined ? '' : `limit ${given(newest)}`]
  return {
    with: `
with failed as (
  select event_id, event_ids from walhook.attempts
  where webhook_id = ${w} and outcome <> 'delivered' and outcome <> 'cancelled' and trigger <> 'test'
    and started_at >= ${given(from)} and started_at < ${given(to)}
    and id >= ${given(firstIdAt(from.getTime()))} and id < ${given(firstIdAt(to.getTime() + longestLoggingMs))}
  ${limit && `order by id desc ${limit}`}
), of_event as (
  select event_id from failed where event_id is not null
  union
  (select unnest(event_ids) from failed ${limit})
)`,
    from: 'of_event join walhook.events e on e.id = of_event.event_id',
    where: `(
  exists (select 1 from walhook.ended_deliveries x where x.webhook_id = ${w} and x.event_id = e.id and x.state = 'dead')
  or exists (
    select 1 from walhook.deliveries d
    where d.webhook_id = ${w} and d.entity_type = e.entity_type and d.entity_id = e.entity_id and d.event_id = e.id
      and d.attempts > 0))`,
  }
}

/** The conditions of a range, besides ids. */
export function conditionsOf(
  given: (value: unknown) => string,
  { triggers, missed }: Pick<Extract<ReplaySource, { of: 'range' }>, 'triggers' | 'missed'>,
): string[] {
  return [
    triggers && `e.entity_type || '.' || e.action_type = any(${given(triggers)})`,
    missed && `e.webhooks_version >= ${given(missed.from)}`,
    missed?.to != null && `e.webhooks_version < ${given(missed.to)}`,
  ].filter(condition => typeof condition === 'string')
}

/** Whether the webhook would want event `e` now if it were active. */
export const isWantedNow = (webhookId: string) => `exists (
  select 1 from (
    select id as webhook_id, true as is_active, null::text as disabled_reason, triggers, update_fields,
           filter, filter_entering, filter_leaving, tenant
    from walhook.webhooks where id = ${webhookId}
  ) n
  where ${wants('e', 'n')})`

/** The events of a source by entity, after the entity `after`; `onlyWanted`: by the webhook's triggers and filter. */
function query(
  webhookId: number,
  source: ReplaySource,
  { after, onlyWanted }: { after: Entity; onlyWanted: boolean },
): { text: string; values: unknown[] } {
  const { values, given } = parameters()
  const failed = source.of === 'failed' ? failedEvents(given, webhookId, source) : null
  const conditions = [
    failed?.where,
    source.of === 'range' && `e.id >= ${given(source.from)} and e.id < ${given(source.to)}`,
    source.of === 'ids' && `e.id = any(${given(source.ids)})`,
    ...(source.of === 'range' ? conditionsOf(given, source) : []),
    // A tenant's webhook never gets another tenant's events.
    source.of === 'range' && source.missed
      ? isWantedNow(given(webhookId))
      : `exists (
      select 1 from walhook.webhooks w
      where w.id = ${given(webhookId)} and ${onlyWanted ? isMeantFor('e', 'w') : isOfTenant('e', 'w')})`,
    `(e.entity_type, e.entity_id) > (${given(after.entityType)}, ${given(after.entityId)})`,
  ].filter(condition => condition)
  const text = `
${failed?.with ?? ''}
select e.entity_type, e.entity_id, e.id as event_id from ${failed?.from ?? 'walhook.events e'}
where ${conditions.join(' and ')}
order by entity_type, entity_id, event_id`
  return { text, values }
}

/** An event may have failed ten times. The limit of attempts, and of batch events, read for a count. */
const maxReadForCount = 50_000

/**
 * How many events the source `failed` has, counted up to `max`; beyond that, or if too many attempts failed, `isExact` is
 * false and the count is a lower bound.
 */
export async function countFailed(
  outbox: Outbox,
  webhookId: number,
  range: { from: Date; to: Date },
  max: number,
): Promise<Count> {
  const { values, given } = parameters()
  const failed = failedEvents(given, webhookId, { ...range, newest: maxReadForCount + 1 })
  const { rows } = await outbox.pool.query(
    `${failed.with}
     select count(*)::int as events, (select sum(coalesce(cardinality(event_ids), 1))::float8 from failed) as read
     from (select 1 from ${failed.from} where ${failed.where} limit ${given(max + 1)}) counted`,
    values,
  )
  const { events, read } = rows[0]
  return { count: Math.min(events, max), isExact: events <= max && (read ?? 0) <= maxReadForCount }
}

/**
 * Sends events to a webhook again by hand, also those from before its creation and, unless `onlyWanted`, without a trigger.
 * They are found once, in entity order, and queued in pages of about `pageEvents`, a commit each, until `isTimeOver`; a call
 * with `after` continues after that entity. All events of an entity are in one commit, so that their order is kept.
 * `onQueued` runs once, in the first commit with a change.
 */
export async function replay(outbox: Outbox, input: Input, on: Callbacks): Promise<Replayed> {
  const client = await outbox.pool.connect()
  try {
    const replayed = await replayOn(client, input, on)
    await client.query('close all')
    client.release()
    return replayed
  } catch (error) {
    // This also ends its transaction and cursor.
    client.release(true)
    throw error
  }
}

type EntityEvent = Entity & { readonly eventId: TimeId }

type Input = {
  webhookId: number
  source: ReplaySource
  /** Only events that the webhook's triggers and filter permit. */
  onlyWanted?: boolean
  after: Entity | null
  pageEvents: number
}
type Callbacks = {
  isTimeOver: () => boolean
  onQueued?: (client: pg.PoolClient) => Promise<void>
  /** At the end of each page, in its transaction; false rolls it back. */
  onPage?: (client: pg.PoolClient, page: PageQueued) => Promise<boolean>
}
type PageQueued = { readonly lookedAt: number; readonly queued: number; readonly after: Entity }

async function replayOn(client: pg.PoolClient, input: Input, on: Callbacks): Promise<Replayed> {
  const { webhookId, source } = input
  let { after } = input
  let queued = 0
  await client.query('begin')
  const first = await lockToSend(client, webhookId)
  if (!first.ok) {
    await client.query('rollback')
    return first.refusal
  }
  // No lock is held during the search.
  await client.query('commit')
  await client.query('begin')
  // A cursor `with hold`: neither a long transaction nor the whole result in memory.
  const onlyWanted = input.onlyWanted === true
  const { text, values } = query(webhookId, source, { after: after ?? beforeAll, onlyWanted })
  await client.query(`declare found cursor with hold for ${text}`, values)
  await client.query('commit')

  for await (const items of pagesOf(client, input.pageEvents)) {
    if (on.isTimeOver()) return { state: 'queued', queued, next: after ?? beforeAll }
    await client.query('begin')
    const webhook = await lockToSend(client, webhookId)
    if (!webhook.ok) {
      await client.query('rollback')
      return webhook.refusal
    }
    const { asked } = await askFor(client, {
      webhookId,
      eventIds: items.map(({ eventId }) => eventId),
      purpose: source.of === 'failed' ? 'failed' : 'replay',
    })
    const { entityType, entityId } = items.at(-1)!
    const page = { lookedAt: items.length, queued: asked.length, after: { entityType, entityId } }
    if (queued === 0 && asked.length > 0) await on.onQueued?.(client)
    if (on.onPage && !(await on.onPage(client, page))) {
      await client.query('rollback')
      return { state: 'stopped' }
    }
    await client.query('commit')
    queued += page.queued
    after = page.after
  }
  return { state: 'queued', queued, next: null }
}

const beforeAll: Entity = { entityType: '', entityId: '' }

/** The cursor's content, in pages that end between entities. */
async function* pagesOf(client: pg.PoolClient, pageEvents: number): AsyncGenerator<EntityEvent[], undefined> {
  const waiting: EntityEvent[] = []
  for (;;) {
    const { rows } = await client.query(`fetch ${pageEvents} from found`)
    waiting.push(...rows.map(fields<EntityEvent>))
    if (rows.length < pageEvents) break
    const last = waiting.at(-1)!
    const end = waiting.findIndex(
      ({ entityType, entityId }) => entityType === last.entityType && entityId === last.entityId,
    )
    if (end > 0) yield waiting.splice(0, end)
  }
  if (waiting.length > 0) yield waiting
}
