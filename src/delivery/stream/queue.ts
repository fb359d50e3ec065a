import { isSkipped } from '../../domain/delivery/skip.ts'
import { isUnsent, type TaskState } from '../../domain/delivery/task.ts'
import { closeIn, openIn, openWindow, type Window } from '../../domain/delivery/window.ts'
import { entityKey } from '../../domain/event/entity.ts'
import { type ActionType, sentForm } from '../../domain/event/event.ts'
import type { TimeId } from '../../domain/value/time-id.ts'
import { type Delivery, toDelivery } from '../../outbox/aside/shipment.ts'
import type { DeliverySettings } from '../../outbox/holders/delivery-settings.ts'
import type { LogEvent } from '../../outbox/log/log.ts'

/** An event at a webhook, from reading to the commit that ends it. */
export type Task = {
  /** In the form to send, which may be replaced. */
  delivery: Delivery
  /** The map key of its entity. */
  readonly key: string
  /** Its stream; null: it is a row taken by this process. */
  window: Window | null
  state: TaskState
  /** When it was read, and when its request began, by the patient clock. */
  readonly sinceMs: number
  sentMs: number
  /** Its row, taken by this process, is or will be written although the request is in flight. */
  isRowComing: boolean
}

/** A lagging webhook's position in one share. */
export type OwnStream = {
  readonly window: Window
  /** The saved values; null: no row yet. */
  saved: { settledUpTo: TimeId; maySendUpTo: TimeId } | null
}

/** The memory of a webhook, which explains what it does. */
export type Queue = {
  readonly id: number
  settings: DeliverySettings
  /** The end of the receiver's Retry-After, by this process' clock. */
  heldUntilMs: number
  previousSecretUntilMs: number
  /** The tasks of each entity in order: the first may be in flight, the others wait. */
  readonly entities: Map<string, Task[]>
  /** The tasks to send as soon as possible, in order. */
  readonly ready: Task[]
  /** The unfinished tasks of the main stream, the oldest first. */
  readonly fromMain: Set<Task>
  /** Its own streams, by share; null: it follows the main stream. */
  own: Map<number, OwnStream> | null
  /** It has caught up: the main stream continues, and the next save ends its own positions. Until then nothing is sent. */
  isJoining: boolean
  /** Since when it could have joined; null: it can't. */
  caughtUpSinceMs: number | null
  /** Whether it may have rows in our shares; counts the reasons. */
  hasAside: boolean
  asideVersion: number
  /** When the earliest row is due. */
  dueAtMs: number
  /** No further search for batches before this moment. */
  restsUntilMs: number
  /** The known number of rows waiting for a batch. */
  fresh: number
  /** Requests in flight, and their settlements. */
  sending: number
  /** Events and batches in flight, until they are settled. */
  readonly inFlight: Set<TimeId>
  /** The tasks among them. */
  readonly sent: Set<Task>
  tasks: number
  /** The size of their bodies, and of those of batches in flight, in characters. */
  bytes: number
  /** Since when it can't be sent to; null: it can. */
  stuckSinceMs: number | null
  /** Its running queries. */
  readonly busy: Set<'reading' | 'picking'>
}

export function openQueue(settings: DeliverySettings): Queue {
  return {
    id: settings.id,
    settings,
    heldUntilMs: Number.NEGATIVE_INFINITY,
    previousSecretUntilMs: Number.NEGATIVE_INFINITY,
    entities: new Map(),
    ready: [],
    fromMain: new Set(),
    own: null,
    isJoining: false,
    caughtUpSinceMs: null,
    hasAside: false,
    asideVersion: 0,
    dueAtMs: Number.POSITIVE_INFINITY,
    restsUntilMs: 0,
    fresh: 0,
    sending: 0,
    inFlight: new Set(),
    sent: new Set(),
    tasks: 0,
    bytes: 0,
    stuckSinceMs: null,
    busy: new Set(),
  }
}

/** Whether a webhook may be sent anything now. */
export function isOpen(queue: Queue, nowMs: number): boolean {
  return queue.settings.isActive && queue.heldUntilMs <= nowMs && !queue.isJoining
}

export const isCancelled = ({ settings: { skips } }: Queue, event: LogEvent): boolean =>
  skips.length > 0 && isSkipped(skips, { ...event, eventId: event.id })

/** Adds an event of a stream. Returns the task; state `checking` if it is its entity's first. */
export function accept(
  queue: Queue,
  event: LogEvent,
  from: {
    readonly window: Window
    readonly isMain: boolean
    readonly key: string
    /** The action to send. */
    readonly sentAs: ActionType
  },
  nowMs: number,
): Task {
  const { window, isMain, key, sentAs } = from
  const { withPrevious } = queue.settings
  const form = { attempts: 0, isManual: false, withPrevious, ...sentForm(event.actionType, sentAs) }
  const task = putInChain(queue, { delivery: toDelivery(event, queue.id, form), key, window, sinceMs: nowMs })
  openIn(window, event.id)
  if (isMain) queue.fromMain.add(task)
  return task
}

/**
 * Adds a row taken by this process. State `checking` if it is its entity's first: newer events that wait to become rows do not
 * precede it. Of an entity that changes faster than rows are written, there is always one.
 */
export function acceptRow(queue: Queue, delivery: Delivery, nowMs: number): Task {
  return putInChain(queue, { delivery, key: entityKey(delivery), window: null, sinceMs: nowMs })
}

function putInChain(
  queue: Queue,
  { delivery, key, window, sinceMs }: Pick<Task, 'delivery' | 'key' | 'window' | 'sinceMs'>,
): Task {
  const task: Task = { delivery, key, window, state: 'behind', sinceMs, sentMs: 0, isRowComing: false }
  queue.bytes += task.delivery.body.length
  queue.tasks++
  const chain = queue.entities.get(task.key) ?? []
  queue.entities.set(task.key, chain)
  const isFirst = chain.every(each => followsRow(each, task))
  if (isFirst) {
    chain.unshift(task)
    task.state = 'checking'
  } else chain.push(task)
  return task
}

/** Whether a task of the same entity comes after a taken row, although it was there before. */
const followsRow = ({ window, state, delivery }: Task, row: Task) =>
  row.window === null &&
  window !== null &&
  (state === 'setting aside' || state === 'behind') &&
  delivery.eventId > row.delivery.eventId

/** A task is finished, and its stream may pass it. Returns the next task of its entity, or null. */
export function finish(queue: Queue, task: Task): Task | null {
  const { window } = task
  if (window) closeIn(window, task.delivery.eventId)
  task.window = null
  queue.fromMain.delete(task)
  const chain = queue.entities.get(task.key)
  const index = chain ? chain.indexOf(task) : -1
  if (index < 0) return null
  chain!.splice(index, 1)
  queue.bytes -= task.delivery.body.length
  queue.tasks--
  if (chain!.length === 0) queue.entities.delete(task.key)
  return index === 0 ? (chain![0] ?? null) : null
}

/** All waiting tasks of an entity, in order. */
export function waitingIn(queue: Queue, key: string): Task[] {
  return (queue.entities.get(key) ?? []).filter(({ state }) => isUnsent(state))
}

export const windowsOf = (queue: Queue): ReadonlyMap<number, Window> =>
  new Map([...(queue.own ?? [])].map(([share, { window }]) => [share, window]))

export function* tasksOf(queue: Queue): Generator<Task, undefined> {
  for (const chain of queue.entities.values()) yield* chain
}

/** Gives the webhook its own streams in these shares, from the main stream's positions, with its open tasks. */
export function leaveMain(queue: Queue, main: ReadonlyMap<number, Window>): void {
  queue.own = new Map()
  queue.isJoining = false
  queue.caughtUpSinceMs = null
  for (const [share, { readUpTo, sentUpTo }] of main)
    queue.own.set(share, { window: { ...openWindow(readUpTo), sentUpTo }, saved: null })
  // In event order.
  for (const task of queue.fromMain) moveTo(task, queue.own.get(task.delivery.share)!.window)
  queue.fromMain.clear()
}

/** Returns the webhook to the main stream. Rows stay rows, and no stream waits for them. */
export function joinMain(queue: Queue, main: ReadonlyMap<number, Window>): void {
  queue.own = null
  queue.isJoining = false
  queue.caughtUpSinceMs = null
  const open = [...tasksOf(queue)].toSorted((a, b) => (a.delivery.eventId < b.delivery.eventId ? -1 : 1))
  for (const task of open) {
    const window = main.get(task.delivery.share)
    if (!window || !task.window) continue
    moveTo(task, window)
    queue.fromMain.add(task)
  }
}

function moveTo(task: Task, window: Window): void {
  if (task.window === window) return
  if (task.window) closeIn(task.window, task.delivery.eventId)
  task.window = window
  openIn(window, task.delivery.eventId)
}

/**
 * Drops tasks known only here, of one share or all: their stream will be read again from after the last sent event. Returns
 * the unsent tasks that can't be dropped, since later ones were sent.
 */
export function forgetUnsent(queue: Queue, isMeant: (task: Task) => boolean = () => true): Task[] {
  const left: Task[] = []
  const gone = new Set<Task>()
  for (const task of [...tasksOf(queue)]) {
    if (!isUnsent(task.state) || !task.window || !isMeant(task)) continue
    if (task.delivery.eventId > task.window.sentUpTo) gone.add(task)
    else left.push(task)
  }
  if (gone.size === 0) return left
  for (const task of gone) {
    const window = task.window!
    window.readUpTo = min(window.readUpTo, task.delivery.eventId - 1n)
    task.state = 'forgotten'
    finish(queue, task)
  }
  const kept = queue.ready.filter(task => !gone.has(task))
  queue.ready.length = 0
  queue.ready.push(...kept)
  return left
}

const min = (a: TimeId, b: TimeId) => (a < b ? a : b)
