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

/** Which events are sent to a webhook once more. Ranges hold their beginning and not their end. */
export type ReplaySource =
  | {
      readonly of: 'range'
      readonly from: TimeId
      readonly to: TimeId
      /** As user.new; null: every event. */
      readonly triggers: readonly string[] | null
      /** Only what was appended while the webhook was off. */
      readonly missed?: Versions | null
    }
  | { readonly of: 'ids'; readonly ids: readonly TimeId[] }
  /** What failed in a range of time, and was not delivered since. */
  | { readonly of: 'failed'; readonly from: Date; readonly to: Date }

/** From the version on in which a webhook was off, and before the one in which it was on again; null: it still is. */
export type Versions = { readonly from: number; readonly to: number | null }

export type Replayed =
  | NotSending
  /** What it was told after a page: nothing of that page stays. */
  | { readonly state: 'stopped' }
  | {
      readonly state: 'queued'
      /** How many deliveries were made, or begin anew. */
      readonly queued: number
      /** The last entity that was done, where there are more; null at the end. */
      readonly next: Entity | null
    }

/** An attempt gets its id when it is logged, which may be later than it began: this bounds the days to look at. */
const longestLoggingMs = 3_600_000

/**
 * The events of which an attempt failed in a range of time and that were not delivered since: they are dead, or wait after a failure. Of all
 * failed attempts and of all events of their batches; or of the `newest`, and of as many events of batches.
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

/** What a range says of an event besides its id. */
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

/** Whether the webhook, as it is now and if it were on, wants the event `e`. */
export const isWantedNow = (webhookId: string) => `exists (
  select 1 from (
    select id as webhook_id, true as is_active, null::text as disabled_reason, triggers, update_fields,
           filter, filter_entering, filter_leaving, tenant
    from walhook.webhooks where id = ${webhookId}
  ) n
  where ${wants('e', 'n')})`

/** The events of a source by entity, those behind the entity `after`; `onlyWanted`: by the webhook's triggers and filter. */
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
    // Nobody sends a tenant what is another's.
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

/** An event may have failed ten times. No more attempts than this are read for a count, and no more events of batches. */
const mostReadForCount = 50_000

/**
 * How many events the source `failed` means, counted up to `most`: beyond it, and where so many failed that not all of
 * them are read, `isExact` is false, and there are at least as many.
 */
export async function countFailed(
  outbox: Outbox,
  webhookId: number,
  range: { from: Date; to: Date },
  most: number,
): Promise<Count> {
  const { values, given } = parameters()
  const failed = failedEvents(given, webhookId, { ...range, newest: mostReadForCount + 1 })
  const { rows } = await outbox.pool.query(
    `${failed.with}
     select count(*)::int as events, (select sum(coalesce(cardinality(event_ids), 1))::float8 from failed) as read
     from (select 1 from ${failed.from} where ${failed.where} limit ${given(most + 1)}) counted`,
    values,
  )
  const { events, read } = rows[0]
  return { count: Math.min(events, most), isExact: events <= most && (read ?? 0) <= mostReadForCount }
}

/**
 * Sends events to a webhook once more, by hand: also those that are older than it and, unless `onlyWanted`, those that it has no
 * trigger for. They are found once, in the order of their entities, and queued page by page of about `pageEvents`, a commit each, until
 * `isTimeOver` says so; a call with `after` goes on behind that entity. All that is meant of an entity goes into one commit, however much
 * that is, so that its events stay in their order. `onQueued` runs once, in the first commit that changes something.
 */
export async function replay(outbox: Outbox, input: Input, on: Callbacks): Promise<Replayed> {
  const client = await outbox.pool.connect()
  try {
    const replayed = await replayOn(client, input, on)
    await client.query('close all')
    client.release()
    return replayed
  } catch (error) {
    // With it go its transaction and its cursor.
    client.release(true)
    throw error
  }
}

type EntityEvent = Entity & { readonly eventId: TimeId }

type Input = {
  webhookId: number
  source: ReplaySource
  /** Only events of which the webhook has the trigger, and that its filter does not exclude. */
  onlyWanted?: boolean
  after: Entity | null
  pageEvents: number
}
type Callbacks = {
  isTimeOver: () => boolean
  onQueued?: (client: pg.PoolClient) => Promise<void>
  /** At the end of each page, in its transaction; false: nothing of it may stay. */
  onPage?: (client: pg.PoolClient, page: PageQueued) => Promise<boolean>
}
export type PageQueued = { readonly lookedAt: number; readonly queued: number; readonly after: Entity }

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
  // Nothing waits while they are found.
  await client.query('commit')
  await client.query('begin')
  // Found as a whole at this commit, and kept by the server: neither a long transaction nor all of it in our memory.
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
      wish: source.of === 'failed' ? 'failed' : 'replay',
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

/** What the cursor holds, in pages that end where an entity ends. */
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
