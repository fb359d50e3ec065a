import type { TimeId } from '../../domain/value/time-id.ts'
import type { Shipment } from '../../outbox/aside/shipment.ts'
import type { Outbox } from '../../outbox/database/database.ts'
import { type Asking, isAsked, openAsking } from './asking.ts'
import type { Machine } from './machine.ts'
import type { Page } from './page.ts'
import type { Queue } from './queue.ts'
import type { Tail } from './tail.ts'

/** Fills the queues of a machine. What is asked of the database is begun by `ask`, and its end is a wake-up. */
export type Reader = {
  readonly outbox: Outbox
  readonly holderId: number
  readonly machine: Machine
  readonly tail: Tail
  readonly clockMs: () => number
  readonly room: (queue: Queue) => number
  readonly send: (queue: Queue, shipment: Shipment) => void
  /** Somebody has taken over from this process. */
  readonly fenced: () => void
  readonly asking: Asking
  /** What is to be asked, since it may have changed. */
  readonly wanted: {
    /** The settings of webhooks. */
    settings: boolean
    /** Whether the log goes further than is known. */
    head: boolean
    /** Rows that somebody else set aside. */
    aside: boolean
    /** What this process has taken: the answer to a commit may have been lost. */
    taken: boolean
  }
  /** The newest event that anybody has told of; null: nobody has yet. */
  headId: TimeId | null
  /** What was read for the main streams and is not taken in. */
  mainPage: Page | null
  /** For how many webhooks that are behind a page is being read. */
  reading: number
  /** When the webhooks that are behind are looked at again, and how far the tail went then. */
  ownAtMs: number
  ownUpTo: TimeId
  isOwnTurn: boolean
}

export function openReader(
  options: Pick<
    Reader,
    'outbox' | 'holderId' | 'machine' | 'tail' | 'clockMs' | 'room' | 'send' | 'fenced'
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
    mainPage: null,
    reading: 0,
    ownAtMs: 0,
    ownUpTo: 0n,
    isOwnTurn: true,
  }
}

/** The log goes at least so far. */
export function noteHead(reader: Reader, id: TimeId): void {
  if (reader.headId === null && reader.tail.upToId() === 0n) reader.tail.begin(id)
  if (reader.headId === null || id > reader.headId) reader.headId = id
}

/** Whether the webhooks have changed since their settings were read. */
export const isStale = ({ wanted, asking }: Reader): boolean => wanted.settings || isAsked(asking, 'settings')
