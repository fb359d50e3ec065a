import type pg from 'pg'
import { type DeliveryCounts, type EventState, isInState } from '../../domain/event/event-state.ts'
import type { TimeId } from '../../domain/value/time-id.ts'
import { type Outbox, planTransactionByIndex, transaction } from '../database/database.ts'
import type { EventLine } from '../reading/events.ts'
import { type Lead, leadTo } from './event-leads.ts'
import { countWebhooks, readEventStates } from './event-states.ts'
import { type EventPage, findFitting, rangeOf, type Scanned, scan } from './scan.ts'

export type ListedEvent = EventLine & { readonly counts: DeliveryCounts }

/** Events whose state is computed per portion; fewer with many webhooks. */
const maxChecked = 1_000
const portion = 250
const maxPairs = 50_000

/** The newest matching events with their states, at a bounded cost. */
export async function listEvents(
  { pool }: Pick<Outbox, 'pool'>,
  page: EventPage,
): Promise<Scanned<ListedEvent>> {
  const { state } = page.filter
  return await transaction(pool, async client => {
    // Every table is read by an index range, whatever the statistics.
    await planTransactionByIndex(client)
    if (state !== undefined) return await listInState(client, page, state)
    const found = await scan(client, page)
    return { ...found, items: await withStates(client, page, found.items) }
  })
}

/** The states of events at the webhooks of this outbox, without those of an event that it lacks. */
export async function readStates(
  { pool }: Pick<Outbox, 'pool'>,
  ids: readonly TimeId[],
  seenBy: string | null,
): Promise<Map<TimeId, DeliveryCounts>> {
  return await transaction(pool, async client => {
    await planTransactionByIndex(client)
    return await readEventStates(client, ids, seenBy)
  })
}

async function withStates(
  client: pg.ClientBase,
  { seenBy }: EventPage,
  lines: readonly EventLine[],
): Promise<ListedEvent[]> {
  const ids = lines.map(({ id }) => id)
  const states = await readEventStates(client, ids, seenBy)
  return lines.map(line => ({ ...line, counts: states.get(line.id)! }))
}

/** Reads portions of events until the page is full, or the limit is reached. */
async function listInState(
  client: pg.ClientBase,
  page: EventPage,
  state: EventState,
): Promise<Scanned<ListedEvent>> {
  const { seenBy, limit } = page
  const range = rangeOf(page)
  const lead = await leadTo(client, state, { ...range, tenant: seenBy })
  const webhooks = await countWebhooks(client, seenBy)
  const max = Math.min(maxChecked, Math.max(portion / 10, Math.floor(maxPairs / Math.max(1, webhooks))))
  const items: ListedEvent[] = []
  let before = range.before
  for (let read = 0; ; ) {
    const found = await nextPortion(client, { ...page, before, limit: Math.min(portion, max) }, lead)
    const filled = await withStates(client, page, found.items)
    items.push(...filled.filter(({ counts }) => isInState(counts, state)))
    if (items.length > limit)
      return { items: items.slice(0, limit), next: items[limit - 1]!.id, isPartial: false }
    if (found.next === null) return { items, next: null, isPartial: false }
    before = found.next
    read += portion
    if (found.isPartial || read >= max) return { items, next: before, isPartial: true }
  }
}

/** Candidates: events above the lead's end, then those that it names. */
async function nextPortion(client: pg.ClientBase, page: EventPage, lead: Lead): Promise<Scanned<EventLine>> {
  const { before } = rangeOf(page)
  if (before > lead.above + 1n) {
    const found = await scan(client, page, lead.above)
    if (found.next !== null || lead.above === 0n) return found
    return { ...found, next: lead.above + 1n }
  }
  const named = lead.ids.filter(id => id < before)
  const ids = named.slice(0, page.limit)
  const items = await findFitting(client, page, ids)
  if (named.length > ids.length) return { items, next: ids.at(-1)!, isPartial: false }
  return { items, next: lead.isCut ? lead.ids.at(-1)! : null, isPartial: lead.isCut }
}
