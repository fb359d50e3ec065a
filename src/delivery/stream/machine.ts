import type { Window } from '../../domain/delivery/window.ts'
import type { AsideRow } from '../../outbox/aside/aside.ts'
import type { Delivery } from '../../outbox/aside/shipment.ts'
import { type Askers, createAskers } from './askers.ts'
import type { Queue, Task } from './queue.ts'

export type ToSetAside = { readonly queue: Queue; readonly task: Task; readonly row: AsideRow }

/**
 * A holder's memory: the main stream of each of its shares, and a queue per webhook. Changes are synchronous; queries,
 * requests and writes to do are left here for others.
 */
export type Machine = {
  readonly clockMs: () => number
  /** The clock that measures how slow a webhook is. */
  readonly patientMs: () => number
  /** The version of the webhooks' settings; -1: not read yet. */
  version: number
  readonly queues: Map<number, Queue>
  /** The main streams, by share. */
  readonly main: Map<number, Window>
  /** Shares being released: nothing new of them is read or sent. */
  readonly leaving: Set<number>
  readonly askers: Askers
  /** Webhooks that lag. */
  readonly lagging: Set<Queue>
  /** Webhooks that may have ready tasks, or unfinished ones of the main stream: the others need no check. */
  readonly working: Set<Queue>
  /** Webhooks with ready tasks, in turns. */
  readonly active: Set<Queue>
  /** Webhooks with a due or future row. */
  readonly dues: Set<Queue>
  /** Tasks to be checked: whether their entity is blocked, and what supersedes them. */
  readonly toCheck: { readonly queue: Queue; readonly task: Task }[]
  readonly toSetAside: ToSetAside[]
  /** Rows that this process has taken and does not send. */
  readonly toGiveBack: Delivery[]
}

/** A holder without shares and webhooks. */
export function openMachine(clockMs: () => number, patientMs = clockMs): Machine {
  return {
    clockMs,
    patientMs,
    version: -1,
    queues: new Map(),
    main: new Map(),
    leaving: new Set(),
    askers: createAskers(),
    lagging: new Set(),
    working: new Set(),
    active: new Set(),
    dues: new Set(),
    toCheck: [],
    toSetAside: [],
    toGiveBack: [],
  }
}
