import { isUnsent } from '../../domain/delivery/task.ts'
import { noteSent } from '../../domain/delivery/window.ts'
import type { Machine } from './machine.ts'
import { finish, type Queue, type Task, tasksOf } from './queue.ts'

/** The first of an entity may be sent, once nothing is in its way. A row was the oldest of its entity when it was taken. */
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
}

/** It is known whether the entity of a task is blocked. */
export function checked(machine: Machine, queue: Queue, task: Task, isBlocked: boolean): void {
  if (task.state !== 'checking') return
  if (isBlocked) setAsideFrom(machine, queue, task)
  else makeReady(machine, queue, task)
}

/** Makes a task a row with the next settlement. `dueInMs` null: behind what is there of its entity. */
export function setAside(
  machine: Machine,
  queue: Queue,
  task: Task,
  { dueInMs, takenBy = null }: { dueInMs: number | null; takenBy?: number | null },
): void {
  // One that is under way stays so, and gets a row besides.
  if (takenBy === null) task.state = 'setting aside'
  task.isRowComing = true
  blocked(queue)
  if (task.window) noteSent(task.window, task.delivery.eventId)
  machine.toSetAside.push({ queue, task, row: { ...task.delivery, dueInMs, takenBy } })
}

/** What is under way for too long at a webhook that is behind becomes a row, and its stream goes on. */
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
 * A task's entity is blocked: it, and what waits behind it, become rows. What is a row already (asked for by hand while something of the
 * entity was under way) is not the oldest any more, and is given back.
 */
function setAsideFrom(machine: Machine, queue: Queue, task: Task): void {
  for (const each of [...(queue.entities.get(task.key) ?? [])]) {
    if (!isUnsent(each.state)) continue
    if (each.window) setAside(machine, queue, each, { dueInMs: null })
    else giveUp(machine, queue, each)
  }
}

/** Gives back a row that this process has taken and does not send. */
export function giveUp(machine: Machine, queue: Queue, task: Task): void {
  task.state = 'forgotten'
  finish(queue, task)
  machine.toGiveBack.push(task.delivery)
}

/** A newer event says all of what a task says: that is committed. */
export function superseded(machine: Machine, queue: Queue, task: Task): void {
  task.state = 'superseded'
  startNext(machine, queue, finish(queue, task))
}

/** The commit that ends a task is made; `isBlocking`: a row of it is there now. */
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

/** Rows of a webhook are there by now, or may be. */
export function blocked(queue: Queue): void {
  queue.hasAside = true
  queue.asideVersion++
}

/** A row of a webhook is due at this moment of our clock. */
export function due(machine: Machine, queue: Queue | undefined, atMs: number): void {
  if (!queue) return
  queue.hasAside = true
  if (atMs < queue.dueAtMs) queue.dueAtMs = atMs
  machine.dues.add(queue)
}
