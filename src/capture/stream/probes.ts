import { describeError, type Log } from '../../runtime/log.ts'
import { sleep } from '../../runtime/sleep.ts'
import { readSlotStatus } from '../source/preflight.ts'
import type { Source } from '../source/source.ts'
import { probePrefix } from './decode.ts'

const defaultIntervalMs = 10_000
const afterBytes = 262_144n

/**
 * Writes messages into the source's WAL to measure the time until everything before them is stored. Without an interval, only
 * if other WAL was written: an idle source stays idle.
 */
export async function sendProbes(
  options: { source: Source; slotName: string; intervalMs: number | null; nowMs: () => number; log: Log },
  signal: AbortSignal,
): Promise<void> {
  const { source, slotName, intervalMs, nowMs, log } = options
  let last = 0n
  for (;;) {
    await sleep(intervalMs ?? defaultIntervalMs, signal)
    if (signal.aborted) return
    try {
      const { walEnd } = await readSlotStatus(source, slotName)
      if (!intervalMs && walEnd < last + afterBytes) continue
      await source.pool.query('select pg_logical_emit_message(false, $1, $2)', [probePrefix, String(nowMs())])
      last = walEnd
    } catch (error) {
      log.debug('capture.probe_failed', { reason: describeError(error) })
    }
  }
}
