import type { PageCode } from '../../domain/capture/page-failures.ts'
import type { Outbox } from '../database/database.ts'

/** The tables of paged work. In both, open states are `waiting` and `running`. */
export type OpenWork = 'backfills' | 'resyncs'

/** A finished page of rows. */
export type PageDone = {
  readonly id: number
  readonly fromKey: string | null
  readonly toKey: string | null
  readonly untilKey: string | null
  readonly rows: number
  readonly rowsEstimate: number | null
  readonly isLast: boolean
}

/** Why work waits or ended, in words and by its fix. */
export type PageReason = { readonly reason: string; readonly code: PageCode | null }

/** Records what an open backfill or resync waits for. */
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

/** Whether a slot has an open backfill or resync. */
export async function hasOpenWork(outbox: Outbox, slotName: string): Promise<boolean> {
  const { rows } = await outbox.pool.query({
    name: 'has_open_work',
    text: `select exists (select 1 from walhook.backfills where slot_name = $1 and state in ('waiting', 'running'))
               or exists (select 1 from walhook.resyncs where slot_name = $1 and state in ('waiting', 'running')) as yes`,
    values: [slotName],
  })
  return rows[0].yes
}
