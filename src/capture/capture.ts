import type { Service } from '../runtime/service.ts'
import type { CaptureOptions, Capturing } from './capturing.ts'
import { createFailures } from './continuity/failures.ts'
import { lossOfOldSlot } from './continuity/old-slot.ts'
import type { CaptureState } from './continuity/state.ts'
import { newLink, noteDead } from './link.ts'
import { captureOnce } from './session.ts'
import { createCatalogueLoader } from './source/load-catalogue.ts'
import { currentStall, currentState, enter, enterStarting, openStatus, streamedMs } from './status.ts'
import { LinkDead } from './stream/reports.ts'

export type Capture = Service & {
  state(): CaptureState
  /** Why nothing is stored although changes are pending, in words; null: all is well. */
  stall(): string | null
  lastProbe(): string | null
  probeMs(): number | null
}

/**
 * The service that reads the slot and fills the outbox. Postgres permits one reader per slot, so one process streams at a
 * time. `onStored` is called after each commit to the outbox.
 */
export function createCapture(options: CaptureOptions, link = newLink()): Capture {
  const status = openStatus(options)
  const capturing: Capturing = { ...createCatalogueLoader(options), options, status, link }
  const stateAfter = createFailures(options)
  return {
    name: 'capture',
    state: () => currentState(status),
    stall: () => currentStall(status),
    lastProbe: () => status.probe,
    probeMs: () => status.probeMs,
    async run(signal) {
      enterStarting(status)
      try {
        await captureOnce(capturing, signal)
      } catch (cause) {
        const error = await lossOfOldSlot(cause, options.source, options.outbox, options)
        if (error instanceof LinkDead) noteDead(capturing.link)
        enter(status, await stateAfter(error, streamedMs(status)))
        throw error
      }
    },
  }
}
