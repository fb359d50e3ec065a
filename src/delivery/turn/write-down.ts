import { releaseShares } from '../../outbox/holders/holders.ts'
import { describeError } from '../../runtime/log.ts'
import { release } from '../stream/streams.ts'
import { isShareDone, maxPositions, reachOf } from './progress.ts'
import type { Serving } from './serving.ts'

export const beatEveryMs = 700
/** Alone and idle. A newcomer announces itself, and watches for three seconds before it takes anything. */
const restEveryMs = 2 * beatEveryMs
const saveEveryMs = 500

/** Sends a heartbeat, which extends the main streams' reach. */
export function beat(serving: Serving, nowMs: number): void {
  if (serving.beating) return
  const { machine, inFlight, keeper, next, log } = serving
  const isIdle = !serving.isReachWanted && inFlight.count() === 0 && machine.active.size === 0
  serving.isReachWanted = false
  next.beatMs = nowMs + beatEveryMs
  serving.beating = keeper
    .beat(reachOf(machine), isIdle)
    .then(isOurs => {
      if (!isOurs) serving.isFenced = true
      if (isIdle && serving.membership.isAlone()) next.beatMs = nowMs + restEveryMs
      serving.heardAtMs = serving.clockMs()
    })
    .catch(error => log.error('delivery.beat_failed', { reason: describeError(error) }))
    .finally(() => {
      serving.beating = null
      serving.waker.wake()
    })
}

export function wantBeat({ next, waker }: Serving): void {
  next.beatMs = 0
  waker.wake()
}

/** Starts saving positions: at once if something waits for them, otherwise periodically. */
export function save(serving: Serving, nowMs: number): void {
  if (serving.saving) return
  const { next, log } = serving
  const isTime = nowMs >= next.saveMs
  if (isTime) next.saveMs = nowMs + saveEveryMs
  serving.isSaveWanted = false
  serving.saving = saveNow(serving, isTime ? maxPositions : 0)
    .catch(error => {
      log.error('delivery.save_failed', { reason: describeError(error) })
      return true
    })
    .then(isNews => {
      serving.saving = null
      if (isNews || serving.isSaveWanted) serving.waker.wake()
    })
}

/** Saves positions, and releases shares without open tasks. Returns whether there was anything to do. */
export async function saveNow(serving: Serving, max: number): Promise<boolean> {
  const { machine, progress, outbox, keeper } = serving
  const { holderId } = serving.membership
  const done = [...machine.leaving].filter(share => isShareDone(machine, share))
  const saved = await progress.save(max)
  if (saved === 'fenced') serving.isFenced = true
  if (serving.isFenced || done.length === 0) return saved !== 'nothing to save'
  await releaseShares(outbox, { holderId, shares: done, isLeaving: keeper.isStopping() })
  for (const share of done) {
    release(machine, share)
    progress.forget(share)
  }
  return true
}
