import type { TableGapReason } from '../../domain/capture/captured.ts'
import { formatLsn } from '../../domain/value/lsn.ts'
import { maxInARow } from '../../domain/value/streak.ts'
import { type Outbox, transaction } from '../../outbox/database/database.ts'
import type { Gap } from '../../outbox/source/gaps.ts'
import { addToTableGap } from '../../outbox/source/table-gaps.ts'
import type { Log } from '../../runtime/log.ts'
import { throwOfStoring } from '../continuity/failure.ts'
import type { Unreadable } from '../map/set-aside.ts'

const reason: TableGapReason = 'rows unreadable'

/** The tables with lost, unreadable changes, by open gaps. */
export function unreadableOf(open: readonly Gap[]): { entityType: string; table: string; fromLsn: bigint }[] {
  return open.flatMap(({ entityType, tableName, fromLsn, ...gap }) =>
    gap.reason === reason && entityType !== null && tableName !== null
      ? [{ entityType, table: tableName, fromLsn }]
      : [],
  )
}

/** Records losses as gaps, before the position passes them. */
export async function recordUnreadable(
  { outbox, slotName, log }: { outbox: Outbox; slotName: string; log: Log },
  lost: readonly Unreadable[],
): Promise<void> {
  for (const { entityType, table, fromLsn, toLsn, because } of lost) {
    const detail = `more than ${maxInARow} changes in succession could not be sent: ${because}. Fix that first`
    const gap = { slotName, entityType, tableName: table, reason, detail, fromLsn, toLsn }
    const isNew = await transaction(outbox.pool, client => addToTableGap(client, gap)).catch(throwOfStoring)
    if (isNew) log.error('capture.gap', { table, reason, detail, from_lsn: formatLsn(fromLsn) })
  }
}
