import type { IncidentKind } from '../domain/alert/incident.ts'
import type { Outbox } from '../outbox/database/database.ts'
import { endIncidents, hasOpenIncident, noteIncidents } from '../outbox/records/incidents.ts'
import type { Service } from '../runtime/service.ts'
import { sleep } from '../runtime/sleep.ts'
import type { CaptureState } from './continuity/state.ts'

const ofStates = ['capture.blocked', 'capture.lagging'] as const satisfies readonly IncidentKind[]
const pollEveryMs = 1_000
/** An ongoing problem is recorded again: another process may have ended it, or its quiet time is over. */
const againEveryMs = 15_000

/** The incident of a state. A database that is down for half a minute has a code, and stops capture too. */
export function incidentOf({ state, code }: CaptureState): (typeof ofStates)[number] | null {
  if (state === 'lagging') return 'capture.lagging'
  return state === 'blocked' || (state === 'starting' && code !== undefined) ? 'capture.blocked' : null
}

/**
 * The service that records incidents of this process' capture state; losses are recorded with their gap. A streaming process
 * ends what others recorded: only one of them reads the slot.
 */
export function createCaptureAlerts({
  outbox,
  slotName,
  state,
}: {
  outbox: Outbox
  slotName: string
  state: () => CaptureState
}): Service {
  return {
    name: 'capture-alerts',
    async run(signal) {
      let noted: string | null = null
      let notedAtMs = 0
      while (!signal.aborted) {
        const now = state()
        const kind = incidentOf(now)
        const isStreaming = now.state === 'streaming' || now.state === 'gap' || now.state === 'lagging'
        const what = kind ?? (isStreaming ? 'well' : now.state)
        if (what !== noted || performance.now() - notedAtMs > againEveryMs) {
          const over = ofStates.filter(each => each !== kind)
          if (isStreaming || now.state === 'lost') await end(over)
          if (kind)
            await noteIncidents(outbox.pool, [
              { kind, of: slotName, facts: now.code ? { code: now.code } : {} },
            ])
          noted = what
          notedAtMs = performance.now()
        }
        await sleep(pollEveryMs, signal)
      }
    },
  }

  async function end(kinds: readonly IncidentKind[]): Promise<void> {
    if (await hasOpenIncident(outbox, slotName, kinds)) await endIncidents(outbox.pool, [slotName], kinds)
  }
}
