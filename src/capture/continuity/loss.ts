import { compareSource } from '../../domain/capture/captured.ts'
import type { EntityMapping } from '../../domain/mapping/mapping.ts'
import { type Lsn, parseLsn } from '../../domain/value/lsn.ts'
import type { Outbox } from '../../outbox/database/database.ts'
import type { Position } from '../../outbox/log/position.ts'
import { type Remembered, readRemembered } from '../../outbox/source/captured.ts'
import type { Source } from '../source/source.ts'
import type { SourceFacts } from '../verdict/preflight-verdict.ts'
import { checkContinuity } from './continuity.ts'
import { lastGood } from './last-good.ts'
import { type CapturedNow, readCaptured } from './read-captured.ts'
import { readFork } from './timeline.ts'

type Options = {
  readonly slotName: string
  readonly publicationName: string
  readonly mapping: readonly EntityMapping[]
}

/** The loss of everything from `fromLsn` on, with the reason. */
export type Loss = { readonly reason: string; readonly detail: string; readonly fromLsn: Lsn }

export type LossFound = {
  readonly loss: Loss | null
  readonly remembered: Remembered | null
  readonly now: CapturedNow
  /** Where the source's WAL left the captured timeline. */
  readonly forkLsn: Lsn | 'unrelated' | null
}

/**
 * Finds whether the source continues where the outbox ends, and records nothing. `facts` were read before `position`: another
 * process may confirm and store meanwhile, and confirms only what is stored.
 */
export async function findLoss(
  source: Source,
  outbox: Outbox,
  { facts, position }: { readonly facts: SourceFacts; readonly position: Position },
  options: Options,
): Promise<LossFound> {
  const { slotName, publicationName, mapping } = options
  const remembered = await readRemembered(outbox, slotName)
  const now = await readCaptured(source.pool, { ...options, ...facts, before: remembered?.captured ?? null })
  const bySource = remembered && compareSource(remembered.captured, now.captured, publicationName)
  const forkLsn = bySource ? null : await forkSince(source, { remembered, now })
  const { slot, systemIdentifier } = facts
  const found =
    bySource ??
    checkContinuity({
      ...{ slotName, publicationName, systemIdentifier, forkLsn, stored: position },
      // Read after the position: what is stored meanwhile lies beyond it.
      walEnd: now.beforeLsn,
      // An invalidated slot may have no position at all.
      slot: slot && {
        confirmedLsn: parseLsn(slot.confirmedLsn ?? '0/0'),
        isInvalidated: slot.walStatus === 'lost',
      },
      hasPublication: facts.publication !== null,
    })
  const loss = found && { ...found, fromLsn: lastGood({ position, remembered, now }, mapping) }
  return { loss, remembered, now, forkLsn }
}

async function forkSince(
  source: Source,
  { remembered, now }: Pick<LossFound, 'remembered' | 'now'>,
): Promise<LossFound['forkLsn']> {
  const [was, is] = [remembered?.captured.timeline ?? now.captured.timeline, now.captured.timeline]
  return was === is ? null : ((await readFork(source.url, { was, now: is })) ?? 'unrelated')
}
