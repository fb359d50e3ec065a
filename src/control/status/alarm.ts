import type { Finding } from '../../domain/shown/findings.ts'
import type { Outbox } from '../../outbox/database/database.ts'
import { type Gap, listOpenGaps } from '../../outbox/source/gaps.ts'
import { openResyncs } from '../../outbox/source/resyncs.ts'
import type { Control } from '../kit/control.ts'

/** What every page shows: changes are lost, or capture is blocked. `reason` says why, in English; `code` for programs. */
export type Alarm = {
  readonly finding: Extract<Finding, 'capture_lost' | 'capture_blocked' | 'gap' | 'resyncing'>
  readonly reason: string | null
  readonly code?: string | undefined
}

const goodForMs = 2_000

/** The answers of late. */
const known = new WeakMap<Outbox, { readonly atMs: number; readonly gaps: Promise<GapsNow> }>()

type GapsNow = { readonly open: readonly Gap[]; readonly isToldAnew: boolean }

/** Also in a process that captures nothing itself: gaps are in the outbox. Costs one look in two seconds, whoever asks. */
export async function readAlarm(control: Control, nowMs: number): Promise<Alarm | null> {
  const { state, reason, code } = control.captureState()
  if (state === 'lost') return { finding: 'capture_lost', reason, code }
  if (state === 'blocked') return { finding: 'capture_blocked', reason, code }
  const { open, isToldAnew } = await gapsNow(control, nowMs)
  if (open.length === 0) return null
  if (isToldAnew) return { finding: 'resyncing', reason: null }
  const isOfEverything = open.some(({ tableName, toLsn }) => tableName === null && toLsn === null)
  const reasons = open.map(({ tableName, detail }) =>
    tableName === null ? detail : `${tableName}: ${detail}`,
  )
  return {
    finding: isOfEverything ? 'capture_lost' : 'gap',
    reason: reasons.slice(0, 3).join('; '),
    code: isOfEverything ? 'capture.changes_lost' : 'capture.table_gap',
  }
}

async function gapsNow({ outbox, captureState }: Control, nowMs: number): Promise<GapsNow> {
  const answer = known.get(outbox)
  if (answer && nowMs - answer.atMs < goodForMs && nowMs >= answer.atMs) return await answer.gaps
  const gaps = readGaps(outbox, captureState().slotName)
  known.set(outbox, { atMs: nowMs, gaps })
  gaps.catch(() => known.delete(outbox))
  return await gaps
}

async function readGaps(outbox: Outbox, slotName: string): Promise<GapsNow> {
  const open = await listOpenGaps(outbox, slotName)
  return { open, isToldAnew: open.length > 0 && areToldAnew(open, await openResyncs(outbox, slotName)) }
}

/** Whether a resync of each of these gaps is under way. */
export function areToldAnew(
  open: readonly Pick<Gap, 'id'>[],
  resyncs: readonly { readonly gapIds: readonly number[] }[],
): boolean {
  return open.every(({ id }) => resyncs.some(({ gapIds }) => gapIds.includes(id)))
}
