import type { TimeId } from '../../domain/value/time-id.ts'
import type { Outbox } from '../database/database.ts'
import { positionsOf, waitsInLog } from '../log/waits.ts'
import { stateAt, wantedColumns } from '../log/wanted.ts'

/** The limits of examined rows, and of events in the log. */
const maxRows = 10_000
const maxEvents = 2_000

/** The oldest of a webhook's ($1) first $2 rows, and the first pending one of $3 events after its lowest position in the log. */
const oldestStatement = `
select rows.oldest as row_id, rows.n as rows, log.id as log_id, log.looked_at
from (
  select min(event_id) as oldest, count(*)::int as n
  from (
    select event_id from walhook.deliveries where webhook_id = $1
    order by webhook_id, entity_type, entity_id, event_id limit $2
  ) t
) rows
cross join lateral (${positionsOf('$1::int')}) p
cross join lateral (
  select min(e.id) filter (where ${waitsInLog('$1::int', { e: 'e', s: 's', settled: 'p.settled[e.share + 1]', maySend: 'p.may_send[e.share + 1]' })}) as id,
         count(*)::int as looked_at
  from (select ${wantedColumns} from walhook.events where id > p.least order by id limit $3) e
  left join lateral (${stateAt('$1::int', 'e.webhooks_version')}) s on true
) log`

/** The oldest pending event of a webhook; `isExact` false: there may be an older one, or any at all. */
type OldestPending = { readonly eventId: TimeId | null; readonly isExact: boolean }

export async function readOldestPending({ pool }: Outbox, webhookId: number): Promise<OldestPending> {
  const { rows } = await pool.query(oldestStatement, [webhookId, maxRows, maxEvents])
  const { row_id: row, rows: count, log_id: log, looked_at: lookedAt } = rows[0]
  const eventId = row === null ? log : log === null || row < log ? row : log
  return { eventId, isExact: count < maxRows && (log !== null || lookedAt < maxEvents) }
}
