import type { AsideRow } from '../../outbox/aside/aside.ts'
import type { Outbox } from '../../outbox/database/database.ts'
import type { Settlement } from '../../outbox/settle/settle.ts'
import type { Log } from '../../runtime/log.ts'
import type { PatientClock } from '../../runtime/patient-clock.ts'
import type { Capacity } from '../sending/capacity.ts'
import type { Machine, ToSetAside } from '../stream/machine.ts'
import type { Queue } from '../stream/queue.ts'
import type { Reader } from '../stream/reader.ts'
import type { createInFlight } from './in-flight.ts'
import type { Membership } from './membership.ts'
import type { createProgress } from './progress.ts'
import type { Send } from './send.ts'
import type { createSettler } from './settler.ts'
import type { createShareKeeper } from './share-keeper.ts'
import type { createWaker } from './waker.ts'

export type ServeOptions = {
  readonly outbox: Outbox
  readonly membership: Membership
  readonly capacity: Capacity
  readonly waker: ReturnType<typeof createWaker>
  readonly send: Send
  /** How long a stop waits for requests in flight. */
  readonly drainMs: number
  /** The time limit of an attempt. */
  readonly deadlineMs: number
  readonly clockMs: () => number
  readonly patience: PatientClock
  readonly log: Log
  readonly onSettled: (settlements: readonly Settlement[]) => void
  readonly onRecovered: (webhookId: number) => void
}

/** One life as a holder: its memory, its parts, and what to do next. */
export type Serving = ServeOptions & {
  readonly machine: Machine
  readonly reader: Reader
  readonly progress: ReturnType<typeof createProgress>
  readonly keeper: ReturnType<typeof createShareKeeper>
  readonly settler: ReturnType<typeof createSettler>
  readonly inFlight: ReturnType<typeof createInFlight>
  /** The tasks whose rows are being written. */
  readonly asideOf: Map<AsideRow, ToSetAside>
  /** Cuts off requests in flight. */
  readonly cutOff: AbortController
  /** When the next beat, check, save and query are due. */
  readonly next: { beatMs: number; tickMs: number; saveMs: number; pollMs: number }
  /** Another process has taken over: nothing begins, and nothing is written. */
  isFenced: boolean
  /** A task waits for the next beat or save. */
  isReachWanted: boolean
  isSaveWanted: boolean
  beating: Promise<void> | null
  saving: Promise<void> | null
  /** The time of the last answered beat. */
  heardAtMs: number
}

/** Whether a request may begin; otherwise after the next beat. */
export function mayBegin(serving: Serving): boolean {
  if (serving.membership.mayBegin()) return true
  serving.isReachWanted = true
  return false
}

/** How many more requests a webhook may have in flight. */
export const capacityOf = ({ capacity }: Serving, { id, settings }: Queue): number =>
  capacity.free(id, settings)
