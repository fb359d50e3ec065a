import type { PageCode } from '../../domain/capture/page-failures.ts'
import type { Outbox } from '../database/database.ts'

/** The tables of what is worked off page by page. In both, what is open is `waiting` or `running`. */
export type OpenWork = 'backfills' | 'resyncs'

/** A page of rows that is done. */
export type PageDone = {
  readonly id: number
  /** Where the work stood when the page was read. */
  readonly fromKey: string | null
  readonly toKey: string | null
  readonly untilKey: string | null
  readonly rows: number
  readonly rowsEstimate: number | null
  readonly isLast: boolean
}

/** Why something waits or has ended, in words and by what a person can do about it. */
export type PageReason = { readonly reason: string; readonly code: PageCode | null }

/** Notes what an open backfill or resync waits for. */
export async function noteReason(
  outbox: Outbox,
  of: OpenWork,
  id: number,
  { reason, code }: PageReason,
): Promise<void> {
  await outbox.pool.query(
    `update walhook.${of} set reason = $2, code = $3
     where id = $1 and state in ('waiting', 'running') and (reason, code) is distinct from ($2, $3)`,
    [id, reason, code],
  )
}
