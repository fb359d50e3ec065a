import { mergeSorted } from '../../domain/cells/merge-sorted.ts'
import {
  type DeliveryCounts,
  deliveryStates,
  isInState,
  noDeliveries,
} from '../../domain/event/event-state.ts'
import type { TimeId } from '../../domain/value/time-id.ts'
import * as listing from '../../outbox/listing/events.ts'
import type { EventPage, Scanned } from '../../outbox/listing/scan.ts'
import { overCells } from '../kit/cells.ts'
import type { Control } from '../kit/control.ts'

type Listed = Scanned<listing.ListedEvent> & { readonly away: readonly string[] }

/**
 * The newest events of all cells that match, with their states everywhere. Each cell has a copy of the log under the same ids,
 * and its own alerts. The page ends where the least advanced cell ends.
 */
export async function listOverCells(control: Pick<Control, 'cells'>, page: EventPage): Promise<Listed> {
  const { results, away } = await overCells(control, outbox => listing.listEvents(outbox, page))
  const all = results.map(({ value }) => value)
  if (control.cells.all().length === 1) return { ...all[0]!, away }
  const end = endOf(all)
  const merged = once(
    mergeSorted(
      all.map(({ items }) => items),
      (a, b) => a.id > b.id,
    ),
  )
  const seen = merged.filter(({ id }) => end === null || id >= end)
  const found = await withStates(control, seen.slice(0, page.limit), page.seenBy)
  const { state } = page.filter
  const items = state === undefined ? found : found.filter(({ counts }) => isInState(counts, state))
  const next = seen.length > page.limit ? seen[page.limit - 1]!.id : end
  // A page may lack events that are not sent in one cell, and sent in another.
  return { items, next, isPartial: next !== null && items.length < page.limit, away }
}

/** The oldest event up to which every cell has looked; null: all have looked at everything. */
function endOf(all: readonly Scanned<unknown>[]): TimeId | null {
  let max: TimeId | null = null
  for (const { next } of all) if (next !== null && (max === null || next > max)) max = next
  return max
}

/** Each event once, from the first cell that has it. */
const once = (sorted: readonly listing.ListedEvent[]) =>
  sorted.filter(({ id }, i) => i === 0 || sorted[i - 1]!.id !== id)

async function withStates(
  control: Pick<Control, 'cells'>,
  events: readonly listing.ListedEvent[],
  seenBy: string | null,
): Promise<listing.ListedEvent[]> {
  if (events.length === 0) return []
  const ids = events.map(({ id }) => id)
  const { results } = await overCells(control, outbox => listing.readStates(outbox, ids, seenBy))
  return events.map(event => ({ ...event, counts: sumOf(results.map(({ value }) => value.get(event.id)!)) }))
}

function sumOf(all: readonly DeliveryCounts[]): DeliveryCounts {
  const sum = { ...noDeliveries }
  for (const state of deliveryStates) for (const counts of all) sum[state] += counts[state]
  return sum
}
