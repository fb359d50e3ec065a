import type { AsideRow } from '../../outbox/aside/aside.ts'
import type { Outbox } from '../../outbox/database/database.ts'
import type { Settlement } from '../../outbox/settle/settle.ts'
import type { Log } from '../../runtime/log.ts'
import type { Places } from '../sending/places.ts'
import type { Machine, ToSetAside } from '../stream/machine.ts'
import type { Queue } from '../stream/queue.ts'
import type { Reader } from '../stream/reader.ts'
import type { Membership } from './membership.ts'
import type { createProgress } from './progress.ts'
import type { Send } from './send.ts'
import type { createSettler } from './settler.ts'
import type { createShareKeeper } from './share-keeper.ts'
import type { createUnderWay } from './under-way.ts'
import type { createWaker } from './waker.ts'

export type ServeOptions = {
  readonly outbox: Outbox
  readonly membership: Membership
  readonly places: Places
  readonly waker: ReturnType<typeof createWaker>
  readonly send: Send
  /** How long a stop waits for requests under way before it cuts them off. */
  readonly drainMs: number
  /** The longest that an attempt may take. */
  readonly deadlineMs: number
  readonly clockMs: () => number
  readonly log: Log
  readonly onSettled: (settlements: readonly Settlement[]) => void
  readonly onRecovered: (webhookId: number) => void
}

/** One life as a holder: what it remembers, who works for it, and what is to be done next. */
export type Serving = ServeOptions & {
  readonly machine: Machine
  readonly reader: Reader
  readonly progress: ReturnType<typeof createProgress>
  readonly keeper: ReturnType<typeof createShareKeeper>
  readonly settler: ReturnType<typeof createSettler>
  readonly underWay: ReturnType<typeof createUnderWay>
  /** The tasks whose rows are being written. */
  readonly asideOf: Map<AsideRow, ToSetAside>
  /** Cuts off what is under way. */
  readonly cutOff: AbortController
  /** When the next beat, look, save and question are due. */
  readonly next: { beatMs: number; tickMs: number; saveMs: number; lookMs: number }
  /** Somebody has taken over: nothing begins any more, and nothing is written. */
  isFenced: boolean
  /** Something can't be sent before the next beat, or the next save. */
  isReachWanted: boolean
  isSaveWanted: boolean
  beating: Promise<void> | null
  saving: Promise<void> | null
  /** When a beat was answered last. */
  heardAtMs: number
}

/** Whether a request may begin; else it may after the next beat. */
export function mayBegin(serving: Serving): boolean {
  if (serving.membership.mayBegin()) return true
  serving.isReachWanted = true
  return false
}

/** How many more requests a webhook may have under way. */
export const roomOf = ({ places }: Serving, { id, settings }: Queue): number => places.room(id, settings)
