import { type Rewrite, type RewriteVerdict, rewritten } from '../../domain/capture/captured.ts'
import type { Remembered } from '../../outbox/source/captured.ts'
import { describeError, type Log } from '../../runtime/log.ts'
import type { CapturedNow } from '../continuity/read-captured.ts'
import type { Source } from '../source/source.ts'
import type { PageMerger } from './pages.ts'
import { boundsOf } from './part-page.ts'

/** A check waits for no lock: the next one looks at a locked partition again. */
const limits = `set local lock_timeout = '1s'; set local statement_timeout = '10s'`
const queryCanceled = '57014'

/**
 * Creates the function that checks partitions with a replaced file. Postgres reports neither TRUNCATE of a single partition
 * nor writes to an unlogged one; VACUUM FULL and CLUSTER replace the file too.
 *
 * - kept: it has a row of a transaction that had ended at the last look. TRUNCATE leaves no row, SET LOGGED rewrites each
 *   row; VACUUM FULL and CLUSTER keep `xmin`.
 * - kept: the stream has delivered a TRUNCATE of the whole table by the transaction that last changed the partition's pg_class
 *   row.
 * - unknown: the stream may still bring that, which a mark will show.
 * - lost: otherwise.
 */
export function createRewriteCheck(options: {
  source: Source
  merger: Pick<PageMerger, 'caughtUp' | 'hasTruncated'>
  log: Log
}): (remembered: Remembered, now: CapturedNow) => Promise<RewriteVerdict> {
  const { source, merger, log } = options
  /** The mark to wait for, and whether the stream has passed it. */
  let waited: { readonly what: string; isOver: boolean } | null = null

  function isCaughtUp(what: string): boolean {
    if (waited?.what === what) return waited.isOver
    const wait = { what, isOver: false }
    waited = wait
    void merger.caughtUp().then(
      () => {
        wait.isOver = true
      },
      error => {
        waited = null
        log.debug('capture.inspection_failed', { reason: describeError(error) })
      },
    )
    return false
  }

  return async ({ captured, seenXid }, now) => {
    const kept = new Set<number>()
    const changed = new Set<number>()
    for (const rewrite of rewritten(captured, now.captured, seenXid))
      for (const oid of rewrite.oids) {
        const xmin = now.parts[oid]?.xmin
        const isTruncated = xmin !== undefined && merger.hasTruncated(rewrite.table, xmin)
        const hasKept = isTruncated || (await keptRows(source, rewrite, oid))
        if (hasKept) kept.add(oid)
        else if (hasKept === false) changed.add(oid)
      }
    const what = [...changed].map(oid => `${oid} ${now.parts[oid]?.xmin}`).join()
    return { kept, lost: changed.size > 0 && isCaughtUp(what) ? changed : new Set() }
  }
}

/** Whether a partition has an unchanged row since the last look; null: unknown for now. */
async function keptRows(source: Source, { table, seenXid }: Rewrite, oid: number): Promise<boolean | null> {
  if (seenXid === null) return false
  const client = await source.pool.connect()
  try {
    await client.query(`begin read only; ${limits}`)
    const bounds = await boundsOf(client, { tableName: table, oid })
    const { rows } = await client.query(
      // Transaction ids are comparable within two billion: an older look proves nothing.
      `select pg_snapshot_xmax(pg_current_snapshot())::text::numeric - $1::numeric < 2000000000
          and exists (select from ${table} where ${bounds ?? 'false'} and age(xmin) > age($2::xid)) as has_kept`,
      [seenXid, String(BigInt(seenXid) % 2n ** 32n)],
    )
    await client.query('commit')
    client.release()
    return rows[0].has_kept === 't'
  } catch (error) {
    client.release(true)
    // This many rows, and none of them old.
    if ((error as { code?: string }).code === queryCanceled) return false
    return null
  }
}
