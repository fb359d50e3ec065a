import type { Machine } from './machine.ts'
import { forgetUnsent, isOpen, type Queue, type Task } from './queue.ts'
import { leave } from './streams.ts'
import { setAsideSlow } from './tasks.ts'

/** A webhook that holds the main stream back for this long leaves it. */
const leaveAfterMs = 1_000
/** A lagging webhook's request in flight for this long becomes a row. */
const asideAfterMs = 2_000
/** A webhook that can't be sent to for this long is dropped from memory, except its position. */
const forgetAfterMs = 5_000
/** A webhook that has kept up with its own stream for this long joins the main stream. */
const joinAfterMs = 1_000

type CheckOptions = {
  readonly nowMs: number
  /** The same moment, by the patient clock. */
  readonly patientMs: number
  readonly holderId: number
  readonly freeCapacity: (queue: Queue) => number
  /** Whether a webhook waits for the capacity of this process only. */
  readonly waitsForCapacity: (queue: Queue) => boolean
}

/**
 * The periodic checks: who holds the main stream back, what is in flight too long, who can't be sent to, and who has caught
 * up. `isQuiet`: no further check is due soon; `isSaveWanted`: save a position now.
 */
export function checkAll(
  machine: Machine,
  options: CheckOptions,
): { isQuiet: boolean; isSaveWanted: boolean } {
  let isQuiet = true
  let isSaveWanted = false
  for (const queue of machine.working) {
    const [oldest] = queue.fromMain
    if (oldest) isQuiet = false
    if (queue.ready.length > 0) machine.active.add(queue)
    else if (!oldest) machine.working.delete(queue)
    if (oldest && holdsBack(queue, oldest, options)) leave(machine, queue)
  }
  for (const queue of machine.lagging) {
    if (checkOne(machine, queue, options)) isQuiet = false
    if (queue.isJoining) isSaveWanted = true
  }
  return { isQuiet, isSaveWanted }
}

/**
 * Whether a webhook holds the main stream back. If this process lacks capacity or CPU, or the outbox is slow to commit, all
 * wait alike and none leaves.
 */
function holdsBack(
  queue: Queue,
  oldest: Task,
  { nowMs, patientMs, waitsForCapacity }: CheckOptions,
): boolean {
  if (queue.isJoining || patientMs - oldest.sinceMs < leaveAfterMs || oldest.state === 'settling')
    return false
  if (oldest.state === 'sending') return patientMs - oldest.sentMs >= leaveAfterMs
  return oldest.state !== 'ready' || !isOpen(queue, nowMs) || !waitsForCapacity(queue)
}

/** Checks a lagging webhook. Returns whether another check is due soon. */
function checkOne(
  machine: Machine,
  queue: Queue,
  { nowMs, patientMs, holderId, freeCapacity }: CheckOptions,
): boolean {
  if (queue.isJoining) return true
  setAsideSlow(machine, queue, { sentBeforeMs: patientMs - asideAfterMs, holderId })
  const isStuck = queue.sending === 0 && (!isOpen(queue, nowMs) || freeCapacity(queue) <= 0)
  queue.stuckSinceMs = isStuck ? (queue.stuckSinceMs ?? nowMs) : null
  if (queue.stuckSinceMs !== null && nowMs - queue.stuckSinceMs >= forgetAfterMs) forgetUnsent(queue)
  if (queue.settings.batch || !hasCaughtUp(machine, queue)) {
    queue.caughtUpSinceMs = null
    return queue.sending > 0 || queue.ready.length > 0
  }
  queue.caughtUpSinceMs ??= nowMs
  if (nowMs - queue.caughtUpSinceMs >= joinAfterMs) queue.isJoining = true
  return true
}

/** Whether a lagging webhook has nothing open, and was read as far as the main streams. */
function hasCaughtUp(machine: Machine, queue: Queue): boolean {
  for (const [share, { window }] of queue.own ?? []) {
    const main = machine.main.get(share)
    if (!main || window.open.size > 0 || window.readUpTo !== main.readUpTo) return false
  }
  return true
}
