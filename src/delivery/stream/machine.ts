import type { Window } from '../../domain/delivery/window.ts'
import type { AsideRow } from '../../outbox/aside/aside.ts'
import type { Delivery } from '../../outbox/aside/shipment.ts'
import { type Askers, createAskers } from './askers.ts'
import type { Queue, Task } from './queue.ts'

/** A task whose row is to be written. */
export type ToSetAside = { readonly queue: Queue; readonly task: Task; readonly row: AsideRow }

/**
 * All that a holder remembers: the main stream of each of its shares, and a queue for each webhook. Whatever changes it does so at
 * once, with nothing asked: what is to be asked, sent or written is left here for whoever does it.
 */
export type Machine = {
  readonly clockMs: () => number
  /** The version of the webhooks' settings, as counted by the log; -1: not read yet. */
  version: number
  readonly queues: Map<number, Queue>
  /** The main streams, by share. */
  readonly main: Map<number, Window>
  /** Shares that are being given up: nothing new of them is read or sent. */
  readonly leaving: Set<number>
  readonly askers: Askers
  /** Webhooks that are behind. */
  readonly behind: Set<Queue>
  /** Webhooks that have something ready, in turns. */
  readonly active: Set<Queue>
  /** Webhooks of which a row is due, or will be. */
  readonly dues: Set<Queue>
  /** Tasks that may be sent once it is known whether their entity is blocked, and what supersedes them. */
  readonly toCheck: { readonly queue: Queue; readonly task: Task }[]
  readonly toSetAside: ToSetAside[]
  /** Rows that this process has taken and does not send. */
  readonly toGiveBack: Delivery[]
}

/** A holder without shares, which knows no webhooks. */
export function openMachine(clockMs: () => number): Machine {
  return {
    clockMs,
    version: -1,
    queues: new Map(),
    main: new Map(),
    leaving: new Set(),
    askers: createAskers(),
    behind: new Set(),
    active: new Set(),
    dues: new Set(),
    toCheck: [],
    toSetAside: [],
    toGiveBack: [],
  }
}
