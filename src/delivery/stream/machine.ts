import { isSkipped } from '../../domain/delivery/skip.ts'
import { isUnsent } from '../../domain/delivery/task.ts'
import { noteSent, openWindow, type Window } from '../../domain/delivery/window.ts'
import { type Entity, entityKey } from '../../domain/event/entity.ts'
import { actionFor } from '../../domain/event/tenant.ts'
import { triggerOf } from '../../domain/event/trigger.ts'
import { toldAs } from '../../domain/event/wanted.ts'
import type { TimeId } from '../../domain/value/time-id.ts'
import type { AsideRow } from '../../outbox/aside/aside.ts'
import type { Delivery } from '../../outbox/aside/shipment.ts'
import type { DeliverySettings } from '../../outbox/holders/delivery-settings.ts'
import type { OwnPlace } from '../../outbox/holders/streams.ts'
import type { LogEvent } from '../../outbox/log/log.ts'
import { createAskers } from './askers.ts'
import { advance, followers, type Page, restOf } from './page.ts'
import {
  accept,
  acceptRow,
  finish,
  forgetUnsent,
  isCancelled,
  leaveMain,
  openQueue,
  type Queue,
  type Task,
  tasksOf,
  windowsOf,
} from './queue.ts'

/** A task whose row is to be written. */
export type ToSetAside = { readonly queue: Queue; readonly task: Task; readonly row: AsideRow }

/**
 * What a holder remembers: the main stream of each of its shares, and a queue for each webhook. Everything here is done at once,
 * with nothing asked; what is to be asked, sent or written is left in the queues and lists for whoever does it.
 */
export function createMachine(options: {
  clockMs: () => number
  /** A task may be sent once it is known whether its entity is blocked, and what supersedes it. */
  check: (queue: Queue, task: Task) => void
}) {
  const { clockMs } = options
  const queues = new Map<number, Queue>()
  /** The main streams, by share. */
  const main = new Map<number, Window>()
  /** Shares that are being given up: nothing new of them is read or sent. */
  const leaving = new Set<number>()
  const askers = createAskers()
  /** Webhooks that are behind. */
  const behind = new Set<Queue>()
  /** Webhooks that have something ready, in turns. */
  const active = new Set<Queue>()
  /** Webhooks of which a row is due, or will be. */
  const dues = new Set<Queue>()
  const toSetAside: ToSetAside[] = []
  let version = -1

  function setSettings(read: {
    version: number
    webhooks: readonly DeliverySettings[]
    gone: readonly number[]
  }) {
    version = read.version
    for (const id of read.gone) drop(id)
    for (const settings of read.webhooks) {
      const queue = queues.get(settings.id) ?? openQueue(settings)
      queues.set(settings.id, queue)
      queue.settings = settings
      const nowMs = clockMs()
      queue.heldUntilMs = nowMs + (settings.heldInMs ?? Number.NEGATIVE_INFINITY)
      queue.previousSecretUntilMs = nowMs + (settings.previousSecretEndsInMs ?? Number.NEGATIVE_INFINITY)
      askers.add(queue)
      if (settings.skips.length > 0)
        forget(
          queue,
          ({ state, window, delivery }) =>
            isUnsent(state) && window !== null && isSkipped(settings.skips, delivery),
        )
      if (queue.ready.length > 0) active.add(queue)
    }
  }

  /** The webhook is deleted: what is under way ends, and changes nothing. */
  function drop(id: number) {
    const queue = queues.get(id)
    if (!queue) return
    forget(queue, () => true)
    queues.delete(id)
    behind.delete(queue)
    active.delete(queue)
    dues.delete(queue)
    askers.drop(queue)
  }

  /** Ends tasks for good: they are not read again. */
  function forget(queue: Queue, isMeant: (task: Task) => boolean) {
    const gone = [...tasksOf(queue)].filter(isMeant)
    for (const task of gone) {
      task.state = 'forgotten'
      const next = finish(queue, task)
      if (next) startBehind(queue, next)
    }
    const kept = queue.ready.filter(({ state }) => state === 'ready')
    queue.ready.length = 0
    queue.ready.push(...kept)
  }

  /** The first of an entity may be sent, once nothing is in its way. A row was the oldest of its entity when it was taken. */
  function start(queue: Queue, task: Task) {
    if ((queue.hasAside && task.window) || queue.settings.mode === 'latest') {
      task.state = 'checking'
      options.check(queue, task)
      return
    }
    task.state = 'ready'
    queue.ready.push(task)
    active.add(queue)
  }

  function startBehind(queue: Queue, task: Task) {
    if (task.state === 'behind') start(queue, task)
  }

  /** `dueInMs` null: behind what is there of its entity. */
  function setAside(queue: Queue, task: Task, how: { dueInMs: number | null; takenBy?: number }) {
    const { takenBy = null } = how
    // One that is under way stays so, and gets a row besides.
    if (takenBy === null) task.state = 'setting aside'
    task.isRowComing = true
    queue.hasAside = true
    queue.asideVersion++
    if (task.window) noteSent(task.window, task.delivery.eventId)
    toSetAside.push({ queue, task, row: { ...task.delivery, dueInMs: how.dueInMs, takenBy } })
  }

  /** An event of the main stream, for every webhook that keeps up and wants it. */
  function takeForAll(event: LogEvent, window: Window) {
    const trigger = triggerOf(event.entityType, event.actionType)
    const from = { window, isMain: true, key: entityKey(event) }
    for (const queue of askers.of(event, trigger)) {
      if (queue.own && !queue.isJoining) continue
      const told = toldAs(queue.settings, event, trigger)
      if (told === null || isCancelled(queue, event)) continue
      // What goes in batches is read as it is needed.
      if (queue.settings.batch) leave(queue)
      else takeEvent(queue, event, { ...from, told })
    }
  }

  function takeEvent(queue: Queue, event: LogEvent, from: Parameters<typeof accept>[2]) {
    const task = accept(queue, event, from, clockMs())
    if (queue.settings.batch) {
      queue.fresh++
      setAside(queue, task, { dueInMs: 0 })
    } else if (task.state === 'checking') start(queue, task)
  }

  function leave(queue: Queue) {
    leaveMain(queue, main)
    behind.add(queue)
  }

  return {
    queues,
    main,
    leaving,
    behind,
    active,
    toSetAside,
    version: () => version,
    setSettings,
    start,
    setAside,
    leave,

    /** Shares are ours from now on, after these places. */
    acquire(shares: readonly { share: number; settledUpTo: TimeId }[], own: readonly OwnPlace[]) {
      for (const { share, settledUpTo } of shares) main.set(share, openWindow(settledUpTo))
      for (const { webhookId, share, settledUpTo, maySendUpTo } of own) {
        const queue = queues.get(webhookId)
        if (!queue) continue
        if (!queue.own || queue.isJoining) leave(queue)
        queue.own!.set(share, { window: openWindow(settledUpTo), saved: { settledUpTo, maySendUpTo } })
      }
      // Who is behind in one share is so in all.
      for (const queue of behind)
        for (const { share, settledUpTo } of shares)
          if (!queue.own!.has(share)) queue.own!.set(share, { window: openWindow(settledUpTo), saved: null })
    },

    /** A share is not ours any more. */
    release(share: number) {
      main.delete(share)
      leaving.delete(share)
      for (const queue of behind) queue.own!.delete(share)
    },

    /** A person is forgotten: what is unsent of the entity is not to be sent any more. */
    forgetEntity(entity: Entity) {
      const key = entityKey(entity)
      for (const queue of queues.values())
        forget(queue, task => isUnsent(task.state) && task.window !== null && task.key === key)
    },

    /** How far the main streams were read, at least; null: there are none. */
    mainReadUpTo(): TimeId | null {
      let least: TimeId | null = null
      for (const [share, { readUpTo }] of main)
        if (!leaving.has(share) && (least === null || readUpTo < least)) least = readUpTo
      return least
    },

    /** Takes in a page for the main streams that it follows, until `most` tasks are open. Returns what is left of it, or null. */
    takeMain(page: Page, most: number): Page | null {
      const follows = followers(main, leaving, page)
      for (const [place, event] of page.events.entries()) {
        if (openFromMain() >= most) {
          const rest = restOf(page, place)
          advance(follows.values(), rest.after)
          return rest
        }
        const window = follows.get(event.share)
        if (!window || event.id <= window.readUpTo) continue
        takeForAll(event, window)
        window.readUpTo = event.id
      }
      advance(follows.values(), page.upTo)
      return null
    },

    /** How far a webhook that is behind was read, at least; null: it has no place that may be read on. */
    ownReadUpTo(queue: Queue): TimeId | null {
      let least: TimeId | null = null
      for (const [share, { window }] of queue.own ?? [])
        if (!leaving.has(share) && (least === null || window.readUpTo < least)) least = window.readUpTo
      return least
    },

    /** Takes in what the log has for a webhook that is behind; `isChosen`: only what it wants. */
    takeOwn(queue: Queue, page: Page, isChosen: boolean) {
      if (!queue.own) return
      const follows = followers(windowsOf(queue), leaving, page)
      for (const event of page.events) {
        const window = follows.get(event.share)
        if (!window || event.id <= window.readUpTo) continue
        const told =
          toldAs(queue.settings, event) ?? (isChosen ? actionFor(queue.settings.tenant, event) : null)
        if (told !== null && !isCancelled(queue, event))
          takeEvent(queue, event, { window, isMain: false, key: entityKey(event), told })
        window.readUpTo = event.id
      }
      advance(follows.values(), page.upTo)
    },

    /** Takes in rows that this process has taken. */
    takeRows(queue: Queue, deliveries: readonly Delivery[]) {
      for (const delivery of deliveries) {
        const task = acceptRow(queue, delivery, clockMs())
        if (task.state === 'checking') start(queue, task)
      }
    },

    /** It is known whether the entity of a task is blocked. */
    checked(queue: Queue, task: Task, isBlocked: boolean) {
      if (task.state !== 'checking') return
      if (!isBlocked) {
        task.state = 'ready'
        queue.ready.push(task)
        active.add(queue)
        return
      }
      setAsideFrom(queue, task)
    },

    /** A newer event says all of what a task says: that is committed. */
    superseded(queue: Queue, task: Task) {
      task.state = 'superseded'
      const next = finish(queue, task)
      if (next) startBehind(queue, next)
    },

    /** The commit that ends a task is made; `isBlocking`: a row of it is there now. */
    ended(queue: Queue, task: Task, isBlocking: boolean) {
      const next = finish(queue, task)
      if (!next) return
      if (isBlocking) setAsideFrom(queue, next)
      const [first] = queue.entities.get(task.key) ?? []
      if (first) startBehind(queue, first)
    },

    /** Rows of a webhook are there by now, or may be. */
    blocked(queue: Queue) {
      queue.hasAside = true
      queue.asideVersion++
    },

    /** A row of a webhook is due at this moment of our clock. */
    due(queue: Queue | undefined, atMs: number) {
      if (!queue) return
      queue.hasAside = true
      if (atMs < queue.dueAtMs) queue.dueAtMs = atMs
      dues.add(queue)
    },
    dues,

    /** What is under way for too long at a webhook that is behind becomes a row, and its stream goes on. */
    setAsideSlow(queue: Queue, { sentBeforeMs, holderId }: { sentBeforeMs: number; holderId: number }) {
      for (const task of queue.sent)
        if (task.state === 'sending' && task.window && task.sentMs <= sentBeforeMs && !task.isRowComing)
          setAside(queue, task, { dueInMs: 0, takenBy: holderId })
    },

    /**
     * Forgets what is unsent of a webhook: its stream is read again from there. What can't be forgotten, since something after it was
     * sent, stays, or becomes rows.
     */
    forgetUnsent(queue: Queue, isMeant?: (task: Task) => boolean, isFinal = false) {
      const left = forgetUnsent(queue, isMeant)
      if (isFinal) for (const task of left) setAside(queue, task, { dueInMs: null })
    },

    /** The newest event that any stream was read to. */
    newestRead(): TimeId {
      let newest = 0n
      for (const { readUpTo } of main.values()) if (readUpTo > newest) newest = readUpTo
      return newest
    },

    openFromMain,
  }

  /** How many tasks the main streams have open. */
  function openFromMain(): number {
    let count = 0
    for (const { openCount } of main.values()) count += openCount
    return count
  }

  /** A task's entity is blocked: it, and what waits behind it, become rows. */
  function setAsideFrom(queue: Queue, task: Task) {
    for (const each of queue.entities.get(task.key) ?? [])
      if (each.window && isUnsent(each.state)) setAside(queue, each, { dueInMs: null })
  }
}

export type Machine = ReturnType<typeof createMachine>
