import { within } from '../../runtime/within.ts'
import { type BackfillReceiver, backfillReceivers, type WantedReceivers } from '../source/backfills.ts'
import type { Cell, Cells } from './cells.ts'
import { whyAway } from './reach.ts'

const responseTimeoutMs = 5_000

/** The receivers of a backfill. `isComplete`: every cell has responded. An unreachable one gets its events by the log. */
export type Receivers = { readonly receivers: readonly BackfillReceiver[]; readonly isComplete: boolean }

export async function receiversIn(
  { main, all }: Pick<Cells, 'main' | 'all'>,
  wanted: WantedReceivers,
): Promise<Receivers> {
  const ask = async (cell: Cell) => {
    if (cell === main) return await backfillReceivers(cell.outbox, wanted)
    if ((await whyAway(cell)) !== null) return null
    return await within(responseTimeoutMs, backfillReceivers(cell.outbox, wanted)).catch(() => null)
  }
  const results = await Promise.all(all().map(ask))
  return { receivers: results.flatMap(response => response ?? []), isComplete: !results.includes(null) }
}
