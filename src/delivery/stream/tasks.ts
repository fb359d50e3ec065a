import { isUnsent } from '../../domain/delivery/task.ts'
import { noteSent } from '../../domain/delivery/window.ts'
import type { Machine } from './machine.ts'
import { finish, type Queue, type Task, tasksOf } from './queue.ts'

/** Checks or releases the first task of an entity. A row was its entity's oldest when taken. */
export function start(machine: Machine, queue: Queue, task: Task): void {
  if ((queue.hasAside && task.window) || queue.settings.mode === 'latest') {
    task.state = 'checking'
    machine.toCheck.push({ queue, task })
  } else makeReady(machine, queue, task)
}

function makeReady(machine: Machine, queue: Queue, task: Task): void {
  task.state = 'ready'
  queue.ready.push(task)
  machine.active.add(queue)
  machine.working.add(queue)
}

export function checked(machine: Machine, queue: Queue, task: Task, isBlocked: boolean): void {
  if (task.state !== 'checking') return
  if (isBlocked) setAsideFrom(machine, queue, task)
  else makeReady(machine, queue, task)
}

/** Makes a task a row with the next settlement. `dueInMs` null: behind existing rows of its entity. */
export function setAside(
  machine: Machine,
  queue: Queue,
  task: Task,
  { dueInMs, takenBy = null }: { dueInMs: number | null; takenBy?: number | null },
): void {
  // A task in flight stays so, and gets a row.
  if (takenBy === null) task.state = 'setting aside'
  task.isRowComing = true
  blocked(queue)
  if (task.window) noteSent(task.window, task.delivery.eventId)
  machine.toSetAside.push({ queue, task, row: { ...task.delivery, dueInMs, takenBy } })
}

/** A lagging webhook's long request becomes a row, and its stream continues. */
export function setAsideSlow(
  machine: Machine,
  queue: Queue,
  { sentBeforeMs, holderId }: { sentBeforeMs: number; holderId: number },
): void {
  for (const task of queue.sent)
    if (task.state === 'sending' && task.window && task.sentMs <= sentBeforeMs && !task.isRowComing)
      setAside(machine, queue, task, { dueInMs: 0, takenBy: holderId })
}

/**
 * The entity is blocked: its tasks become rows. A taken row (requested by hand during a request of the entity) is no longer
 * the oldest, and is returned.
 */
function setAsideFrom(machine: Machine, queue: Queue, task: Task): void {
  for (const each of [...(queue.entities.get(task.key) ?? [])]) {
    if (!isUnsent(each.state)) continue
    if (each.window) setAside(machine, queue, each, { dueInMs: null })
    else giveUp(machine, queue, each)
  }
}

/** Returns a row that this process does not send. */
export function giveUp(machine: Machine, queue: Queue, task: Task): void {
  task.state = 'forgotten'
  finish(queue, task)
  machine.toGiveBack.push(task.delivery)
}

/** A committed newer event supersedes the task. */
export function superseded(machine: Machine, queue: Queue, task: Task): void {
  task.state = 'superseded'
  startNext(machine, queue, finish(queue, task))
}

/** The commit that ends a task; `isBlocking`: it has a row now. */
export function ended(machine: Machine, queue: Queue, task: Task, isBlocking: boolean): void {
  const next = finish(queue, task)
  if (!next) return
  if (isBlocking) setAsideFrom(machine, queue, next)
  const [first] = queue.entities.get(task.key) ?? []
  startNext(machine, queue, first ?? null)
}

/** Ends tasks for good: they are not read again. */
export function forget(machine: Machine, queue: Queue, isMeant: (task: Task) => boolean): void {
  for (const task of [...tasksOf(queue)].filter(isMeant)) {
    task.state = 'forgotten'
    startNext(machine, queue, finish(queue, task))
  }
  const kept = queue.ready.filter(({ state }) => state === 'ready')
  queue.ready.length = 0
  queue.ready.push(...kept)
}

function startNext(machine: Machine, queue: Queue, next: Task | null): void {
  if (next?.state === 'behind') start(machine, queue, next)
}

/** The webhook has rows, or may have. */
export function blocked(queue: Queue): void {
  queue.hasAside = true
  queue.asideVersion++
}

/** A webhook's row is due at this moment of our clock. */
export function due(machine: Machine, queue: Queue | undefined, atMs: number): void {
  if (!queue) return
  queue.hasAside = true
  if (atMs < queue.dueAtMs) queue.dueAtMs = atMs
  machine.dues.add(queue)
}
