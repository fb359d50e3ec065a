import type { TimeId } from '../../domain/value/time-id.ts'
import type { Shipment } from '../../outbox/aside/shipment.ts'
import type { Outbox } from '../../outbox/database/database.ts'
import { type Asking, isAsked, openAsking } from './asking.ts'
import type { Machine } from './machine.ts'
import type { Queue } from './queue.ts'
import type { Tail } from './tail.ts'

/** Fills a machine's queues. `ask` starts the queries, and their end wakes the loop. */
export type Reader = {
  readonly outbox: Outbox
  readonly holderId: number
  readonly machine: Machine
  readonly tail: Tail
  readonly clockMs: () => number
  readonly freeCapacity: (queue: Queue) => number
  /** Whether its receiver accepts what it is sent. */
  readonly isDelivering: (queue: Queue) => boolean
  readonly send: (queue: Queue, shipment: Shipment) => void
  /** Another process has taken over. */
  readonly fenced: () => void
  readonly asking: Asking
  /** What may have changed and must be queried. */
  readonly wanted: {
    /** The settings of webhooks. */
    settings: boolean
    /** The head of the log. */
    head: boolean
    /** Other processes' rows. */
    aside: boolean
    /** This process' rows: the answer to a commit may have been lost. */
    taken: boolean
  }
  /** The newest known event of the log; null: unknown. */
  headId: TimeId | null
  /** The number of lagging webhooks being read for. */
  reading: number
  /** The number of webhooks whose due rows are being taken: of those that deliver, and of others. */
  readonly picking: { delivering: number; other: number }
  /** The lagging webhooks whose next page is missing. */
  toRead: Queue[]
  /** Whether the last search found any. */
  isPageMissing: boolean
  /** When lagging webhooks are checked next, and the tail's end at the last check. */
  ownAtMs: number
  ownUpTo: TimeId
  isOwnTurn: boolean
}

export function openReader(
  options: Pick<
    Reader,
    | 'outbox'
    | 'holderId'
    | 'machine'
    | 'tail'
    | 'clockMs'
    | 'freeCapacity'
    | 'isDelivering'
    | 'send'
    | 'fenced'
  > & {
    wake: () => void
    failed: (error: unknown) => void
  },
): Reader {
  const { wake, failed, ...rest } = options
  const wanted = { settings: false, head: false, aside: false, taken: false }
  const asking = openAsking({
    clockMs: rest.clockMs,
    wake,
    failed(error) {
      wanted.taken = true
      failed(error)
    },
  })
  return {
    ...rest,
    asking,
    wanted,
    headId: null,
    reading: 0,
    picking: { delivering: 0, other: 0 },
    toRead: [],
    isPageMissing: false,
    ownAtMs: 0,
    ownUpTo: 0n,
    isOwnTurn: true,
  }
}

/** The log reaches at least this far. */
export function noteHead(reader: Reader, id: TimeId): void {
  if (reader.headId === null && reader.tail.upToId() === 0n) reader.tail.begin(id)
  if (reader.headId === null || id > reader.headId) reader.headId = id
}

/** Whether webhooks have changed since their settings were read. */
export const isStale = ({ wanted, asking }: Reader): boolean => wanted.settings || isAsked(asking, 'settings')
