import { openWindow, type Window } from '../../domain/delivery/window.ts'
import { entityKey } from '../../domain/event/entity.ts'
import { actionFor } from '../../domain/event/tenant.ts'
import { triggerOf } from '../../domain/event/trigger.ts'
import { sentAction } from '../../domain/event/wanted.ts'
import type { TimeId } from '../../domain/value/time-id.ts'
import type { Delivery } from '../../outbox/aside/shipment.ts'
import type { OwnPosition } from '../../outbox/holders/streams.ts'
import type { LogEvent } from '../../outbox/log/log.ts'
import type { Machine } from './machine.ts'
import { advance, followers, type Page } from './page.ts'
import { accept, acceptRow, isCancelled, leaveMain, type Queue, waitingIn, windowsOf } from './queue.ts'
import { setAside, start } from './tasks.ts'

export function acquire(
  machine: Machine,
  shares: readonly { share: number; settledUpTo: TimeId }[],
  own: readonly OwnPosition[],
): void {
  for (const { share, settledUpTo } of shares) machine.main.set(share, openWindow(settledUpTo))
  for (const { webhookId, share, settledUpTo, maySendUpTo } of own) {
    const queue = machine.queues.get(webhookId)
    if (!queue) continue
    if (!queue.own || queue.isJoining) leave(machine, queue)
    queue.own!.set(share, { window: openWindow(settledUpTo), saved: { settledUpTo, maySendUpTo } })
  }
  // A webhook lags in all shares or none.
  for (const queue of machine.lagging)
    for (const { share, settledUpTo } of shares)
      if (!queue.own!.has(share)) queue.own!.set(share, { window: openWindow(settledUpTo), saved: null })
}

export function release(machine: Machine, share: number): void {
  machine.main.delete(share)
  machine.leaving.delete(share)
  for (const queue of machine.lagging) queue.own!.delete(share)
}

/** A webhook does not keep up: it gets its own streams. */
export function leave(machine: Machine, queue: Queue): void {
  leaveMain(queue, machine.main)
  machine.lagging.add(queue)
}

/** Adds a page that the main streams continue with, until `max` tasks are open: the rest is for later. */
export function takeMain(machine: Machine, page: Page, max: number): void {
  const follows = followers(machine.main, machine.leaving, page)
  let left = max - openFromMain(machine)
  let upTo = page.after
  for (const event of page.events) {
    if (left <= 0) {
      advance(follows.values(), upTo)
      return
    }
    upTo = event.id
    const window = follows.get(event.share)
    if (!window || event.id <= window.readUpTo) continue
    const before = window.openCount
    takeForAll(machine, event, window)
    left -= window.openCount - before
    window.readUpTo = event.id
  }
  advance(follows.values(), page.upTo)
}

/** Adds an event of the main stream for every interested webhook that keeps up. */
function takeForAll(machine: Machine, event: LogEvent, window: Window): void {
  const trigger = triggerOf(event.entityType, event.actionType)
  const from = { window, isMain: true, key: entityKey(event) }
  for (const queue of machine.askers.of(event, trigger)) {
    if (queue.own && !queue.isJoining) continue
    const sentAs = sentAction(queue.settings, event, trigger)
    if (sentAs === null || isCancelled(queue, event)) continue
    // Batches are read on demand.
    if (queue.settings.batch) leave(machine, queue)
    else takeEvent(machine, queue, event, { ...from, sentAs })
  }
}

/** Adds a page for a lagging webhook; `isChosen`: it has only wanted events. */
export function takeOwn(machine: Machine, queue: Queue, page: Page, isChosen: boolean): void {
  if (!queue.own) return
  const follows = followers(windowsOf(queue), machine.leaving, page)
  for (const event of page.events) {
    const window = follows.get(event.share)
    if (!window || event.id <= window.readUpTo) continue
    const sentAs =
      sentAction(queue.settings, event) ?? (isChosen ? actionFor(queue.settings.tenant, event) : null)
    if (sentAs !== null && !isCancelled(queue, event))
      takeEvent(machine, queue, event, { window, isMain: false, key: entityKey(event), sentAs })
    window.readUpTo = event.id
  }
  advance(follows.values(), page.upTo)
}

function takeEvent(
  machine: Machine,
  queue: Queue,
  event: LogEvent,
  from: Parameters<typeof accept>[2],
): void {
  const task = accept(queue, event, from, machine.patientMs())
  machine.working.add(queue)
  if (queue.settings.batch) {
    queue.fresh++
    setAside(machine, queue, task, { dueInMs: 0 })
  } else if (task.state === 'checking') start(machine, queue, task)
  // Other rows may precede this event: it becomes a row behind them.
  else if (hasRow(queue, task.key)) setAside(machine, queue, task, { dueInMs: null })
}

/** Whether a row of an entity is in memory. */
function hasRow(queue: Queue, key: string): boolean {
  return queue.hasAside && (queue.entities.get(key) ?? []).some(({ window }) => window === null)
}

/** Adds rows taken by this process. */
export function takeRows(machine: Machine, queue: Queue, deliveries: readonly Delivery[]): void {
  for (const delivery of deliveries) {
    const task = acceptRow(queue, delivery, machine.patientMs())
    if (task.state !== 'checking') continue
    // Events that have waited become rows behind it, like those that are read from now on.
    for (const each of waitingIn(queue, task.key))
      if (each !== task) setAside(machine, queue, each, { dueInMs: null })
    start(machine, queue, task)
  }
}

/** The lowest read position of the main streams; null: none. */
export function mainReadUpTo({ main, leaving }: Machine): TimeId | null {
  let least: TimeId | null = null
  for (const [share, { readUpTo }] of main)
    if (!leaving.has(share) && (least === null || readUpTo < least)) least = readUpTo
  return least
}

/** The lowest read position of a lagging webhook; null: no readable stream. */
export function ownReadUpTo({ leaving }: Machine, queue: Queue): TimeId | null {
  let least: TimeId | null = null
  for (const [share, { window }] of queue.own ?? [])
    if (!leaving.has(share) && (least === null || window.readUpTo < least)) least = window.readUpTo
  return least
}

/** The read position of a webhook's stream in a share. */
export const readUpToOf =
  ({ main }: Machine, queue: Queue) =>
  (share: number): TimeId =>
    (queue.own?.get(share)?.window ?? main.get(share))?.readUpTo ?? 0n

export function newestRead({ main }: Machine): TimeId {
  let newest = 0n
  for (const { readUpTo } of main.values()) if (readUpTo > newest) newest = readUpTo
  return newest
}

export function openFromMain({ main }: Machine): number {
  let count = 0
  for (const { openCount } of main.values()) count += openCount
  return count
}
