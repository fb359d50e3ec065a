import { isSkipped } from '../../domain/delivery/skip.ts'
import { isUnsent, type TaskState } from '../../domain/delivery/task.ts'
import { closeIn, openIn, openWindow, type Window } from '../../domain/delivery/window.ts'
import { entityKey } from '../../domain/event/entity.ts'
import { type ActionType, formToldAs } from '../../domain/event/event.ts'
import type { TimeId } from '../../domain/value/time-id.ts'
import { type Delivery, toDelivery } from '../../outbox/aside/shipment.ts'
import type { DeliverySettings } from '../../outbox/holders/delivery-settings.ts'
import type { LogEvent } from '../../outbox/log/log.ts'

/** An event at a webhook, from its reading to the commit that ends it. */
export type Task = {
  /** As it is sent; another one where it takes another form. */
  delivery: Delivery
  /** Its entity. */
  readonly key: string
  /** The stream that it came by; null: it is a row, taken by this process. */
  window: Window | null
  state: TaskState
  /** Since when it is in memory, and since when it is sent. */
  readonly sinceMs: number
  sentMs: number
  /** A row of it, taken by this process, is written or will be with the next settlement, although it is under way. */
  isRowComing: boolean
}

/** The place of a webhook that is behind, in one share. */
export type OwnStream = {
  readonly window: Window
  /** What the table says by now; null: it has no row yet. */
  saved: { settledUpTo: TimeId; maySendUpTo: TimeId } | null
}

/** All that a process remembers of a webhook: printed whole, it says why it does what. */
export type Queue = {
  readonly id: number
  settings: DeliverySettings
  /** Until when the receiver wants nothing, by this process's clock. */
  heldUntilMs: number
  /** Until when the secret before a rotation signs too. */
  previousSecretUntilMs: number
  /** What there is of each entity, in the order in which it came: the first is on its way, the others wait for it. */
  readonly entities: Map<string, Task[]>
  /** What may be sent as soon as there is a place, in order. */
  readonly ready: Task[]
  /** What came by the main stream and is not done with, the oldest first. */
  readonly fromMain: Set<Task>
  /** Its own places, by share; null: it keeps up with the main stream. */
  own: Map<number, OwnStream> | null
  /** It has caught up: the main stream brings what follows, and its own places end with the next commit of places. Until then nothing is sent. */
  isJoining: boolean
  /** Since when it could have joined; null: it could not. */
  caughtUpSinceMs: number | null
  /** Whether rows of it may be set aside in our shares; counts what makes it so. */
  hasAside: boolean
  asideVersion: number
  /** When the earliest row is due. */
  dueAtMs: number
  /** Until when nobody looks again whether enough has come for a batch. */
  restsUntilMs: number
  /** Of one that takes batches: how many rows wait for a batch, as far as is known. */
  fresh: number
  /** How many requests, and settlements of them, are under way. */
  sending: number
  /** The events and the batches that are under way, until they are settled. */
  readonly underWay: Set<TimeId>
  /** The tasks among them. */
  readonly sent: Set<Task>
  /** How many tasks it has. */
  tasks: number
  /** What its tasks are sent as, in characters. */
  bytes: number
  /** Since when it can't be sent to; null: it can. */
  stuckSinceMs: number | null
  /** What is asked of the database for it at this moment. */
  readonly busy: Set<'reading' | 'picking'>
}

/** A webhook of which nothing is under way. */
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
    underWay: new Set(),
    sent: new Set(),
    tasks: 0,
    bytes: 0,
    stuckSinceMs: null,
    busy: new Set(),
  }
}

/** Whether a webhook's receiver may be sent anything now. */
export function isOpen(queue: Queue, nowMs: number): boolean {
  return queue.settings.isActive && queue.heldUntilMs <= nowMs && !queue.isJoining
}

/** Whether an admin has cancelled an event for a webhook. */
export const isCancelled = ({ settings: { skips } }: Queue, event: LogEvent): boolean =>
  skips.length > 0 && isSkipped(skips, { ...event, eventId: event.id })

/** Takes in an event that a stream has brought. Returns the task; it is the first of its entity where its state is `checking`. */
export function accept(
  queue: Queue,
  event: LogEvent,
  from: {
    readonly window: Window
    readonly isMain: boolean
    readonly key: string
    /** As what the webhook is told it. */
    readonly told: ActionType
  },
  nowMs: number,
): Task {
  const { window, isMain, key, told } = from
  const { withPrevious } = queue.settings
  const form = { attempts: 0, isManual: false, withPrevious, ...formToldAs(event.actionType, told) }
  const task: Task = {
    delivery: toDelivery(event, queue.id, form),
    key,
    window,
    state: 'behind',
    sinceMs: nowMs,
    sentMs: 0,
    isRowComing: false,
  }
  openIn(window, event.id)
  if (isMain) queue.fromMain.add(task)
  putInChain(queue, task)
  return task
}

/** Takes in a row of the webhook that this process has taken. It is the first of its entity where its state is `checking`. */
export function acceptRow(queue: Queue, delivery: Delivery, nowMs: number): Task {
  const task: Task = {
    delivery,
    key: entityKey(delivery),
    window: null,
    state: 'behind',
    sinceMs: nowMs,
    sentMs: 0,
    isRowComing: false,
  }
  putInChain(queue, task)
  return task
}

function putInChain(queue: Queue, task: Task): void {
  queue.bytes += task.delivery.body.length
  queue.tasks++
  const chain = queue.entities.get(task.key)
  if (chain) chain.push(task)
  else {
    queue.entities.set(task.key, [task])
    task.state = 'checking'
  }
}

/** A task is done with, and its stream may pass it. Returns what is behind it in its entity, or null. */
export function finish(queue: Queue, task: Task): Task | null {
  const { window } = task
  if (window) closeIn(window, task.delivery.eventId)
  task.window = null
  queue.fromMain.delete(task)
  const chain = queue.entities.get(task.key)
  const place = chain ? chain.indexOf(task) : -1
  if (place < 0) return null
  chain!.splice(place, 1)
  queue.bytes -= task.delivery.body.length
  queue.tasks--
  if (chain!.length === 0) queue.entities.delete(task.key)
  return place === 0 ? (chain![0] ?? null) : null
}

/** All that waits in an entity, in order, from its beginning on. */
export function waitingIn(queue: Queue, key: string): Task[] {
  return (queue.entities.get(key) ?? []).filter(({ state }) => isUnsent(state))
}

/** The windows of its own places. */
export const windowsOf = (queue: Queue): ReadonlyMap<number, Window> =>
  new Map([...(queue.own ?? [])].map(([share, { window }]) => [share, window]))

/** Every task. */
export function* tasksOf(queue: Queue): Generator<Task, undefined> {
  for (const chain of queue.entities.values()) yield* chain
}

/** The webhook gets places of its own in these shares, after those of the main stream, and takes along what it has open. */
export function leaveMain(queue: Queue, main: ReadonlyMap<number, Window>): void {
  queue.own = new Map()
  queue.isJoining = false
  queue.caughtUpSinceMs = null
  for (const [share, { readUpTo, sentUpTo }] of main)
    queue.own.set(share, { window: { ...openWindow(readUpTo), sentUpTo }, saved: null })
  // In the order of their events.
  for (const task of queue.fromMain) moveTo(task, queue.own.get(task.delivery.share)!.window)
  queue.fromMain.clear()
}

/** The opposite: the main stream brings what follows. What is a row stays one: its settlement ends the row, and no stream waits for it. */
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
 * Forgets what nobody outside has seen, of one share or of all: the stream is to be read again from behind what was sent last. Returns
 * what is unsent and can't be forgotten, since something after it was sent.
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
