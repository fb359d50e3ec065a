import type { Outbox } from './database.ts'

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

/** Notes what an open backfill or resync waits for. */
export async function noteReason(outbox: Outbox, of: OpenWork, id: number, reason: string): Promise<void> {
  await outbox.pool.query(
    `update walhook.${of} set reason = $2
     where id = $1 and state in ('waiting', 'running') and reason is distinct from $2`,
    [id, reason],
  )
}
