import { formatLsn } from '../domain/value/lsn.ts'
import { describeError } from '../runtime/log.ts'
import { sleep } from '../runtime/sleep.ts'
import type { Capturing } from './capturing.ts'
import type { Interruptions } from './continuity/interruptions.ts'
import { CaptureBlocked, CaptureLost } from './continuity/state.ts'
import { createWatch } from './continuity/watch.ts'
import { setUp } from './start/setup.ts'
import { enter } from './status.ts'

export type Watch = ReturnType<typeof createWatch>

const defaultWatchMs = 2_500
const thoroughEvery = 12

/** Checks the source, and creates what is missing. Throws if capture can't continue. */
export async function prepare({ options, status, noteReports }: Capturing) {
  const { source, outbox, slotName, publicationName, mapping } = options
  const setup = await setUp(source, outbox, {
    slotName,
    publicationName,
    mapping,
    onWaiting: what => enter(status, { state: 'starting', reason: `waiting for ${what}` }),
  })
  if (setup.kind === 'lost') throw new CaptureLost(setup)
  logFound(options, setup.found)
  if (setup.kind === 'blocked') {
    await noteReports()
    throw new CaptureBlocked(setup.problems)
  }
  return setup
}

/** Compares tables and publication with the mapping while streaming. */
export function openWatch(
  { options, status }: Capturing,
  { remembered, checkRewrites }: Pick<Parameters<typeof createWatch>[0], 'remembered' | 'checkRewrites'>,
): Watch {
  const { source, outbox, slotName, publicationName, mapping } = options
  return createWatch({
    ...{ source, outbox, slotName, publicationName, mapping, remembered, checkRewrites },
    onFound: found => logFound(options, found),
    onGaps(open) {
      status.openGaps = open.filter(({ tableName }) => tableName !== null)
    },
  })
}

/** Inspects once. Throws if capture can't continue. */
export async function inspect({ noteReports }: Capturing, watch: Watch, isThorough: boolean): Promise<void> {
  const found = await watch.inspect(isThorough)
  if (found.kind === 'lost') throw new CaptureLost(found)
  if (found.kind === 'blocked' || found.isNews) await noteReports()
  if (found.kind === 'blocked') throw new CaptureBlocked(found.problems)
}

/** Inspects until aborted. The stream notices an unresponsive database. */
export async function inspectRegularly(
  capturing: Capturing,
  watch: Watch,
  signal: AbortSignal,
): Promise<void> {
  const { watchMs = defaultWatchMs, log } = capturing.options
  for (let n = 1; ; n++) {
    await sleep(watchMs, signal)
    if (signal.aborted) return
    await inspect(capturing, watch, n % thoroughEvery === 0).catch(error => {
      if (error instanceof CaptureBlocked || error instanceof CaptureLost) throw error
      log.debug('capture.inspection_failed', { reason: describeError(error) })
    })
  }
}

function logFound(
  { log }: Capturing['options'],
  { losses, arrivals }: Pick<Interruptions, 'losses' | 'arrivals'>,
) {
  for (const { table, reason, detail, fromLsn } of losses)
    log.error('capture.gap', { table, reason, detail, from_lsn: formatLsn(fromLsn) })
  for (const { table, name } of arrivals) log.info('capture.partition', { table, partition: name })
}
