import { isDeepStrictEqual } from 'node:util'
import { type Captured, type RewriteVerdict, rewritten } from '../../domain/capture/captured.ts'
import type { EntityMapping } from '../../domain/mapping/mapping.ts'
import { earliest } from '../../domain/value/lsn.ts'
import type { Problem } from '../../domain/value/problem.ts'
import type { Outbox } from '../../outbox/database/database.ts'
import { readPosition } from '../../outbox/log/position.ts'
import { noteSeen, type Remembered } from '../../outbox/source/captured.ts'
import { type Gap, listOpenGaps, openGap } from '../../outbox/source/gaps.ts'
import { checkTablesAndPublication } from '../source/preflight.ts'
import type { Source } from '../source/source.ts'
import { type Interruptions, recordInterruptions } from './interruptions.ts'
import { type CapturedNow, readCaptured } from './read-captured.ts'

/** The result of an inspection: whether capture may continue, and whether the tables changed since the last one. */
type Inspection =
  | { readonly kind: 'well'; readonly isNews: boolean }
  | { readonly kind: 'blocked'; readonly problems: readonly Problem[] }
  | { readonly kind: 'lost'; readonly reason: string; readonly detail: string }

/**
 * Checks while streaming whether the tables are still captured completely: the stream does not report that a table left the
 * publication, or was replaced. An inspection is one statement; only a change, or a thorough one, checks everything again.
 */
export function createWatch(options: {
  source: Source
  outbox: Outbox
  slotName: string
  publicationName: string
  mapping: readonly EntityMapping[]
  remembered: Remembered
  checkRewrites: (remembered: Remembered, now: CapturedNow) => Promise<RewriteVerdict>
  onFound: (found: Pick<Interruptions, 'losses' | 'arrivals'>) => void
  onGaps: (open: readonly Gap[]) => void
}) {
  const { source, outbox, slotName } = options
  const { systemIdentifier } = options.remembered.captured
  let { remembered } = options
  let lastSound: Captured | null = null
  let turn: Promise<unknown> = Promise.resolve()

  async function inspect(isThorough: boolean): Promise<Inspection> {
    const before = remembered.captured
    const now = await readCaptured(source.pool, { ...options, systemIdentifier, before })
    options.onGaps(await listOpenGaps(outbox, slotName))
    if (!isThorough && isDeepStrictEqual(now.captured, lastSound)) {
      remembered = { ...remembered, seenLsn: now.beforeLsn, seenXid: now.endedXid }
      return { kind: 'well', isNews: false }
    }
    const problems = await checkTablesAndPublication(source, options)
    const isSound = problems.length === 0
    const verdict = await options.checkRewrites(remembered, now)
    const found = await recordInterruptions(outbox, options, { remembered, now, isSound, verdict })
    if (found.lost) {
      const position = await readPosition(outbox, slotName)
      // Changes may have been stored since the last good inspection: before the publication was dropped, and after it returned.
      const fromLsn = earliest(remembered.seenLsn, position?.commitLsn ?? remembered.seenLsn)
      await openGap(outbox, { ...found.lost, slotName, fromLsn })
      return { kind: 'lost', ...found.lost }
    }
    remembered = found.remembered ?? remembered
    options.onFound(found)
    if (found.losses.length > 0) options.onGaps(await listOpenGaps(outbox, slotName))
    if (!isSound) return { kind: 'blocked', problems }
    // Unknown verdicts are checked again.
    const isPending = rewritten(remembered.captured, now.captured, null).length > 0
    const isNews = !isDeepStrictEqual(now.captured, lastSound)
    lastSound = isPending ? null : now.captured
    return { kind: 'well', isNews }
  }

  return {
    /** One inspection at a time. */
    inspect(isThorough: boolean): Promise<Inspection> {
      const next = turn.then(() => inspect(isThorough))
      turn = next.catch(() => {})
      return next
    },
    /** Records until when all was well. */
    async end(): Promise<void> {
      await turn
      await noteSeen(outbox, slotName, remembered)
    },
  }
}
