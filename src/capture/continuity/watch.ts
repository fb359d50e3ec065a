import { isDeepStrictEqual } from 'node:util'
import { type Captured, type RewriteVerdict, rewritten } from '../../domain/capture/captured.ts'
import type { EntityMapping } from '../../domain/mapping/mapping.ts'
import { earliest } from '../../domain/value/lsn.ts'
import type { Problem } from '../../domain/value/problem.ts'
import type { Outbox } from '../../outbox/database/database.ts'
import { readPosition } from '../../outbox/log/position.ts'
import { noteSeen, type Remembered } from '../../outbox/source/captured.ts'
import { type Gap, listOpenGaps, openGap } from '../../outbox/source/gaps.ts'
import { judgeTables } from '../source/preflight.ts'
import type { Source } from '../source/source.ts'
import { type Interruptions, recordInterruptions } from './interruptions.ts'
import { type CapturedNow, readCaptured } from './read-captured.ts'

/** What a look has found: whether capture may go on, and whether the tables are others than at the look before. */
export type LookResult =
  | { readonly kind: 'well'; readonly isNews: boolean }
  | { readonly kind: 'blocked'; readonly problems: readonly Problem[] }
  | { readonly kind: 'lost'; readonly reason: string; readonly detail: string }

/**
 * Looks, while the stream is read, whether the tables are still captured without a break. Nothing in the stream says that a
 * table has left the publication, or that another one has its name. One look costs one statement, and only where something
 * has changed, or where a thorough look is asked for, is everything judged anew.
 */
export function createWatch(options: {
  source: Source
  outbox: Outbox
  slotName: string
  publicationName: string
  mapping: readonly EntityMapping[]
  remembered: Remembered
  judgeRewrites: (remembered: Remembered, now: CapturedNow) => Promise<RewriteVerdict>
  onFound: (found: Pick<Interruptions, 'losses' | 'arrivals'>) => void
  onGaps: (open: readonly Gap[]) => void
}) {
  const { source, outbox, slotName } = options
  const { systemIdentifier } = options.remembered.captured
  let { remembered } = options
  let lastSound: Captured | null = null
  let turn: Promise<unknown> = Promise.resolve()

  async function look(isThorough: boolean): Promise<LookResult> {
    const before = remembered.captured
    const now = await readCaptured(source.pool, { ...options, systemIdentifier, before })
    options.onGaps(await listOpenGaps(outbox, slotName))
    if (!isThorough && isDeepStrictEqual(now.captured, lastSound)) {
      remembered = { ...remembered, seenLsn: now.beforeLsn, seenXid: now.endedXid }
      return { kind: 'well', isNews: false }
    }
    const problems = await judgeTables(source, options)
    const isSound = problems.length === 0
    const verdict = await options.judgeRewrites(remembered, now)
    const found = await recordInterruptions(outbox, options, { remembered, now, isSound, verdict })
    if (found.lost) {
      const position = await readPosition(outbox, slotName)
      // Something may have been stored since it was well: before the publication was gone, and once it was back.
      const fromLsn = earliest(remembered.seenLsn, position?.commitLsn ?? remembered.seenLsn)
      await openGap(outbox, { ...found.lost, slotName, fromLsn })
      return { kind: 'lost', ...found.lost }
    }
    remembered = found.remembered ?? remembered
    options.onFound(found)
    if (found.losses.length > 0) options.onGaps(await listOpenGaps(outbox, slotName))
    if (!isSound) return { kind: 'blocked', problems }
    // What is not known yet is looked at anew.
    const isPending = rewritten(remembered.captured, now.captured, null).length > 0
    const isNews = !isDeepStrictEqual(now.captured, lastSound)
    lastSound = isPending ? null : now.captured
    return { kind: 'well', isNews }
  }

  return {
    /** One look after the other. */
    look(isThorough: boolean): Promise<LookResult> {
      const next = turn.then(() => look(isThorough))
      turn = next.catch(() => {})
      return next
    },
    /** Notes until when all was well. */
    async end(): Promise<void> {
      await turn
      await noteSeen(outbox, slotName, remembered)
    },
  }
}
