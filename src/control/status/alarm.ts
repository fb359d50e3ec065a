import type { Finding } from '../../domain/shown/findings.ts'
import type { Outbox } from '../../outbox/database/database.ts'
import { type Gap, listOpenGaps } from '../../outbox/source/gaps.ts'
import { openResyncs } from '../../outbox/source/resyncs.ts'
import type { Control } from '../kit/control.ts'

/** The alarm on every page: changes are lost, or capture is blocked. `reason` is English; `code` is for programs. */
export type Alarm = {
  readonly finding: Extract<Finding, 'capture_lost' | 'capture_blocked' | 'gap' | 'resyncing'>
  readonly reason: string | null
  readonly code?: string | undefined
}

const goodForMs = 2_000

/** Cached answers. */
const known = new WeakMap<Outbox, { readonly atMs: number; readonly gaps: Promise<GapsNow> }>()

type GapsNow = { readonly open: readonly Gap[]; readonly isResyncing: boolean }

/** Works in every process: gaps are in the outbox. One query per two seconds at most. */
export async function readAlarm(control: Control, nowMs: number): Promise<Alarm | null> {
  const { state, reason, code } = control.captureState()
  if (state === 'lost') return { finding: 'capture_lost', reason, code }
  if (state === 'blocked') return { finding: 'capture_blocked', reason, code }
  const { open, isResyncing } = await gapsNow(control, nowMs)
  if (open.length === 0) return null
  if (isResyncing) return { finding: 'resyncing', reason: null }
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
  const cached = known.get(outbox)
  if (cached && nowMs - cached.atMs < goodForMs && nowMs >= cached.atMs) return await cached.gaps
  const gaps = readGaps(outbox, captureState().slotName)
  known.set(outbox, { atMs: nowMs, gaps })
  gaps.catch(() => known.delete(outbox))
  return await gaps
}

async function readGaps(outbox: Outbox, slotName: string): Promise<GapsNow> {
  const open = await listOpenGaps(outbox, slotName)
  return { open, isResyncing: open.length > 0 && areResyncing(open, await openResyncs(outbox, slotName)) }
}

/** Whether every one of these gaps is being resynced. */
export function areResyncing(
  open: readonly Pick<Gap, 'id'>[],
  resyncs: readonly { readonly gapIds: readonly number[] }[],
): boolean {
  return open.every(({ id }) => resyncs.some(({ gapIds }) => gapIds.includes(id)))
}
