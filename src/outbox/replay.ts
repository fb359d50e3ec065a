import type pg from 'pg'
import type { Entity } from '../domain/entity.ts'
import { firstIdAt, type TimeId } from '../domain/time-id.ts'
import { askFor } from './ask.ts'
import { lockToSend, type NotSending } from './by-hand.ts'
import type { Outbox } from './database.ts'
import { fields } from './fields.ts'
import type { Count } from './queue-depth.ts'

/** Which events are sent to a webhook once more. Ranges hold their beginning and not their end. */
export type ReplaySource =
  | {
      readonly of: 'range'
      readonly from: TimeId
      readonly to: TimeId
      /** As user.new; null: every event. */
      readonly triggers: readonly string[] | null
    }
  | { readonly of: 'ids'; readonly ids: readonly TimeId[] }
  /** What failed in a range of time, and was not delivered since. */
  | { readonly of: 'failed'; readonly from: Date; readonly to: Date }

export type Replayed =
  | NotSending
  | {
      readonly state: 'queued'
      /** How many deliveries were made, or begin anew. */
      readonly queued: number
      /** The last entity that was done, where there are more; null at the end. */
      readonly next: Entity | null
    }

const byEntity = 'order by entity_type, entity_id, event_id'

const rangeStatement = `
select entity_type, entity_id, id as event_id from walhook.events
where id >= $3 and id < $4 and ($5::text[] is null or entity_type || '.' || action_type = any($5))
  and (entity_type, entity_id) > ($1, $2)
${byEntity}`

const idsStatement = `
select entity_type, entity_id, id as event_id from walhook.events
where id = any($3) and ($4::text[] is null or entity_type || '.' || action_type = any($4))
  and (entity_type, entity_id) > ($1, $2)
${byEntity}`

/**
 * The events of which an attempt failed in a range of time ($4, $5), of all failed attempts, or of the `newest`, and
 * of their batches all, or the `first`. An attempt gets its id when it is logged, which may be later than it began: $6
 * and $7 bound the days to look at.
 */
const eventsOfFailed = (newest = '', first = '') => `
with failed as (
  select event_id, event_ids from walhook.attempts
  where webhook_id = $3 and outcome <> 'delivered' and outcome <> 'cancelled'
    and started_at >= $4 and started_at < $5 and id >= $6 and id < $7 and trigger <> 'test'
  ${newest}
), of_event as (
  select event_id from failed where event_id is not null
  union
  (select unnest(event_ids) from failed ${first})
)`

/** Of an event `e`: dead, or waiting after a failure. */
const isNotDelivered = `(
  exists (
    select from walhook.ended_deliveries x where x.webhook_id = $3 and x.event_id = e.id and x.state = 'dead')
  or exists (
    select from walhook.deliveries d
    where d.webhook_id = $3 and d.entity_type = e.entity_type and d.entity_id = e.entity_id and d.event_id = e.id
      and d.attempts > 0))`

const failedStatement = `
${eventsOfFailed()}
select e.entity_type, e.entity_id, e.id as event_id
from of_event join walhook.events e on e.id = of_event.event_id
where (e.entity_type, e.entity_id) > ($1, $2) and ${isNotDelivered}
  and ($8::text[] is null or e.entity_type || '.' || e.action_type = any($8))
${byEntity}`

const countFailedStatement = `
${eventsOfFailed('order by id desc limit $2', 'limit $2')}
select count(*)::int as events, (select sum(coalesce(cardinality(event_ids), 1))::float8 from failed) as read
from (
  select from of_event join walhook.events e on e.id = of_event.event_id where ${isNotDelivered} limit $1
) counted`

const longestLoggingMs = 3_600_000

/** `wanted`: only these triggers; null: whatever they are. */
function query(
  webhookId: number,
  source: ReplaySource,
  wanted: readonly string[] | null,
): { text: string; values: unknown[] } {
  switch (source.of) {
    case 'range':
      return { text: rangeStatement, values: [source.from, source.to, bothOf(source.triggers, wanted)] }
    case 'ids':
      return { text: idsStatement, values: [source.ids, wanted] }
    case 'failed':
      return { text: failedStatement, values: [...failedValues(webhookId, source), wanted] }
    default:
      return source satisfies never
  }
}

function bothOf(a: readonly string[] | null, b: readonly string[] | null): readonly string[] | null {
  return a && b ? a.filter(one => b.includes(one)) : (a ?? b)
}

function failedValues(webhookId: number, { from, to }: { from: Date; to: Date }): unknown[] {
  return [webhookId, from, to, firstIdAt(from.getTime()), firstIdAt(to.getTime() + longestLoggingMs)]
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
  const { rows } = await outbox.pool.query(countFailedStatement, [
    most + 1,
    mostReadForCount + 1,
    ...failedValues(webhookId, range),
  ])
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
  /** Only events of which the webhook has the trigger. */
  onlyWanted?: boolean
  after: Entity | null
  pageEvents: number
}
type Callbacks = { isTimeOver: () => boolean; onQueued: (client: pg.PoolClient) => Promise<void> }

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
  // Found as a whole at this commit, and kept by the server: neither a long transaction nor all of it in our memory.
  const { text, values } = query(webhookId, source, input.onlyWanted ? first.triggers : null)
  const from = [after?.entityType ?? '', after?.entityId ?? '']
  await client.query(`declare found cursor with hold for ${text}`, [...from, ...values])
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
    if (queued === 0 && asked.length > 0) await on.onQueued(client)
    await client.query('commit')
    queued += asked.length
    const { entityType, entityId } = items.at(-1)!
    after = { entityType, entityId }
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
