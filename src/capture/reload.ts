import { isDeepStrictEqual } from 'node:util'
import type { EntityMapping } from '../domain/mapping/mapping.ts'
import type { Problem } from '../domain/value/problem.ts'
import { ConnectionRefused } from '../outbox/database/session-settings.ts'
import { notifyWake } from '../outbox/log/wake.ts'
import { describeError } from '../runtime/log.ts'
import { type Capture, createCapture } from './capture.ts'
import type { CaptureOptions } from './capturing.ts'
import { newLink } from './link.ts'
import { withKnownColumns } from './source/columns.ts'
import { preflight } from './source/preflight.ts'
import { SourceLocked } from './source/source-locks.ts'
import { isOfTables } from './verdict/preflight-verdict.ts'

/** Since when the mapping is in use, and the last refused one since then. */
export type MappingState = {
  readonly loadedAtMs: number
  readonly refused: { readonly atMs: number; readonly problems: readonly Problem[] } | null
}

type Reloaded = 'taken' | 'unchanged' | 'refused'

/**
 * Capture with a replaceable mapping. `mapping` of the options is the file's; `open` reads the columns that it began with.
 *
 * A mapping takes effect between two transactions: a running append finishes with the old one; of an incomplete transaction
 * nothing is stored. Then the slot is read from the stored position with the new mapping, as after a restart. So a crash
 * loses nothing: the next start reads the file.
 */
export async function openReloadable(options: CaptureOptions) {
  const { source, outbox, slotName, nowMs } = options
  let given = options.mapping
  let mapping = await withKnownColumns(source, outbox, { slotName, mapping: given })
  let state: MappingState = { loadedAtMs: nowMs(), refused: null }
  const link = newLink()
  const captureNow = () => ({ mapping, capture: createCapture({ ...options, mapping }, link) })
  let running = captureNow()
  let turn = new AbortController()

  function refuse(problems: readonly Problem[]): Reloaded {
    state = { ...state, refused: { atMs: nowMs(), problems } }
    return 'refused'
  }

  /** Why the source can't be captured with this mapping. */
  async function check(next: readonly EntityMapping[]): Promise<readonly Problem[]> {
    try {
      const { problems } = await preflight(source, { ...options, mapping: next })
      return problems.filter(isOfTables)
    } catch (error) {
      if (error instanceof SourceLocked || error instanceof ConnectionRefused) return [error.problem]
      const found = `could not be asked about the mapping: ${describeError(error)}`
      const mend = 'send SIGHUP again once it answers'
      return [{ code: 'no_connection', what: 'source database', found, mend }]
    }
  }

  const capture: Capture = {
    name: 'capture',
    state: () => running.capture.state(),
    stall: () => running.capture.stall(),
    lastProbe: () => running.capture.lastProbe(),
    probeMs: () => running.capture.probeMs(),
    async run(signal) {
      do {
        if (running.mapping !== mapping) running = captureNow()
        turn = new AbortController()
        await running.capture.run(AbortSignal.any([signal, turn.signal]))
      } while (!signal.aborted && running.mapping !== mapping)
      // A process that stands by need not wait for its next try.
      await notifyWake(outbox, 'slot').catch(() => {})
    },
  }

  return {
    capture,
    /** Another process has stopped reading the slot. */
    slotFreed: () => link.slotFreed(),
    mapping: () => mapping,
    state: () => state,
    /** For an invalid file: the old mapping stays. */
    refuse,
    /** Checks a mapping against the source; once accepted it applies everywhere, to capture from the next transaction on. */
    async reload(next: readonly EntityMapping[]): Promise<Reloaded> {
      if (isDeepStrictEqual(next, given)) {
        state = { ...state, refused: null }
        return 'unchanged'
      }
      const problems = await check(next)
      if (problems.length > 0) return refuse(problems)
      const known = await withKnownColumns(source, outbox, { slotName, mapping: next })
      given = next
      mapping = known
      state = { loadedAtMs: nowMs(), refused: null }
      turn.abort()
      return 'taken'
    },
  }
}
