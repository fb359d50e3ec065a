import { noteSent } from '../../domain/delivery/window.ts'
import type { AsideRow } from '../../outbox/aside/aside.ts'
import type { Shipment } from '../../outbox/aside/shipment.ts'
import { giveBack } from '../../outbox/aside/taken.ts'
import type { Outbox } from '../../outbox/database/database.ts'
import { releaseShares } from '../../outbox/holders/holders.ts'
import { type Settled, type Settlement, settle, type ToSettle } from '../../outbox/settle/settle.ts'
import { describeError, type Log } from '../../runtime/log.ts'
import { sleep } from '../../runtime/sleep.ts'
import type { Places } from '../sending/places.ts'
import { lookAtAll } from '../stream/look.ts'
import { createMachine, type ToSetAside } from '../stream/machine.ts'
import { isOpen, type Queue, type Task } from '../stream/queue.ts'
import { createReader } from '../stream/reader.ts'
import type { Tail } from '../stream/tail.ts'
import type { Membership } from './membership.ts'
import { aheadIds, createProgress, isShareDone, mostPlaces, reachOf } from './progress.ts'
import type { Send } from './send.ts'
import { createSettler } from './settler.ts'
import { createShareKeeper } from './share-keeper.ts'
import { createUnderWay } from './under-way.ts'
import type { createWaker } from './waker.ts'

export type ServeOptions = {
  outbox: Outbox
  membership: Membership
  tail: Tail
  places: Places
  waker: ReturnType<typeof createWaker>
  send: Send
  drainMs: number
  deadlineMs: number
  clockMs: () => number
  log: Log
  onSettled: (settlements: readonly Settlement[]) => void
  onRecovered: (webhookId: number) => void
}

const beatEveryMs = 700
const tickMs = 100
const saveEveryMs = 500
const lookEveryMs = 5_000
const settleWithinMs = 5_000

/**
 * One life as a holder: keeps this process's shares, reads what their streams bring, sends what has a place, and settles what
 * has ended, until `signal` ends it or somebody has taken over from it. One loop does it all; what is asked of the database
 * meanwhile wakes it.
 */
export function createServing(options: ServeOptions) {
  const { outbox, membership, tail, places, waker, clockMs, log } = options
  const { holderId } = membership
  const cutOff = new AbortController()
  const room = ({ id, settings }: Queue) => places.room(id, settings)
  const machine = createMachine({ clockMs, check: (queue, task) => reader.toCheck(queue, task) })
  const reader = createReader({
    outbox,
    holderId,
    machine,
    tail,
    clockMs,
    room: queue => (mayBegin() ? room(queue) : 0),
    send: (queue, shipment) => begin(queue, shipment, null),
    wake: waker.wake,
    fenced: () => {
      isFenced = true
    },
    failed: error => log.error('delivery.read_failed', { reason: describeError(error) }),
  })
  const progress = createProgress({ outbox, holderId, machine })
  const keeper = createShareKeeper({ outbox, membership, machine, reader, progress, log })
  const settler = createSettler({
    takeRows,
    settle: what => settle(outbox, holderId, what),
    log,
    clockMs,
    onSettled,
  })
  const underWay = createUnderWay(places)
  const rowOf = new Map<AsideRow, ToSetAside>()
  let isFenced = false
  let isReachWanted = false
  let nextBeatMs = 0
  let nextTickMs = 0
  let nextSaveMs = 0
  let isSaveWanted = false
  let nextLookMs = 0
  let beating: Promise<void> | null = null
  let saving: Promise<void> | null = null
  let heardAtMs = clockMs()

  async function run(signal: AbortSignal): Promise<void> {
    await reader.readSettings()
    while (!signal.aborted && !isFenced) {
      const nowMs = clockMs()
      if (nowMs >= nextTickMs) tick(nowMs)
      reader.takeIn()
      sendWhatMay(nowMs)
      if (nowMs >= nextBeatMs || isReachWanted) beat(nowMs)
      if (machine.toSetAside.length > 0) settler.wanted()
      const dueMs = reader.ask()
      if (isReachWanted) beat(clockMs())
      if (isSaveWanted || nowMs >= nextSaveMs) save(nowMs)
      await waker.wait(Math.max(0, Math.min(nextBeatMs, nextTickMs, dueMs) - clockMs()), signal)
    }
    try {
      // What has ended hears that it is not settled here any more.
      settler.wanted()
      await (isFenced ? underWay.idleWithin(options.deadlineMs) : stop())
    } finally {
      membership.endSession()
      settler.giveUp()
      underWay.over()
    }
  }

  /** Whether a request may begin; else it may after the next beat. */
  function mayBegin(): boolean {
    if (membership.mayBegin()) return true
    isReachWanted = true
    return false
  }

  /** Shows that this process lives, and lets the main streams go on. */
  function beat(nowMs: number) {
    if (beating) return
    const isIdle = !isReachWanted && underWay.count() === 0 && machine.active.size === 0
    isReachWanted = false
    nextBeatMs = nowMs + beatEveryMs
    beating = keeper
      .beat(reachOf(machine), isIdle)
      .then(isOurs => {
        if (!isOurs) isFenced = true
        heardAtMs = clockMs()
      })
      .catch(error => log.error('delivery.beat_failed', { reason: describeError(error) }))
      .finally(() => {
        beating = null
        waker.wake()
      })
  }

  function save(nowMs: number) {
    if (saving) return
    const isTime = nowMs >= nextSaveMs
    if (isTime) nextSaveMs = nowMs + saveEveryMs
    isSaveWanted = false
    saving = saveNow(isTime ? mostPlaces : 0)
      .catch(error => log.error('delivery.save_failed', { reason: describeError(error) }))
      .finally(() => {
        saving = null
        waker.wake()
      })
  }

  async function saveNow(most: number): Promise<void> {
    const done = [...machine.leaving].filter(share => isShareDone(machine, share))
    if (!(await progress.save(most))) isFenced = true
    if (isFenced || done.length === 0) return
    await releaseShares(outbox, { holderId, shares: done })
    for (const share of done) {
      machine.release(share)
      progress.forget(share)
    }
  }

  function sendWhatMay(nowMs: number) {
    // What is known to have changed is read first.
    if (reader.isStale()) return
    if (machine.active.size > 0 && !mayBegin()) return
    // As it is now: whoever can't be sent to yet is in it again afterwards.
    for (const queue of [...machine.active]) {
      if (places.isFull()) return
      sendOf(queue, nowMs)
    }
  }

  function sendOf(queue: Queue, nowMs: number) {
    const { ready } = queue
    machine.active.delete(queue)
    if (!isOpen(queue, nowMs)) return
    while (ready.length > 0) {
      const task = ready[0]!
      if (task.state === 'ready') {
        if (room(queue) <= 0) return
        if (!mayReach(queue, task)) break
      }
      ready.shift()
      if (task.state !== 'ready') continue
      task.state = 'sending'
      task.sentMs = nowMs
      const { delivery, window } = task
      if (window) noteSent(window, delivery.eventId)
      const isAside = window === null
      begin(queue, { webhookId: queue.id, batchId: null, isAside, deliveries: [delivery] }, task)
    }
    if (ready.length > 0) machine.active.add(queue)
  }

  /** Whether it is committed that a task's stream may be sent so far; else that is asked for. */
  function mayReach(queue: Queue, { window, delivery }: Task): boolean {
    if (window === null) return true
    if (queue.own && !queue.isJoining) {
      if (progress.ownReach(queue, delivery.share) >= delivery.eventId) return true
      progress.wantReach(queue)
      isSaveWanted = true
      return false
    }
    if (reachOf(machine) > membership.maySendUpTo() + aheadIds / 2n) isReachWanted = true
    return delivery.eventId <= membership.maySendUpTo()
  }

  function begin(queue: Queue, shipment: Shipment, task: Task | null) {
    const { id, settings } = queue
    const sent = { queue, shipment, task }
    underWay.begin(sent)
    const sealed =
      queue.previousSecretUntilMs > clockMs() ? settings.sealed : { ...settings.sealed, previousSecret: null }
    const target = { webhookId: id, url: settings.url, sealed }
    void options
      .send(target, shipment, { signal: cutOff.signal, mayBegin: membership.mayBegin })
      .then(settlement => {
        // It has a row by now, or will have one before this is settled.
        const isAside = shipment.isAside || task?.isRowComing === true
        const settled =
          isAside === shipment.isAside ? settlement : { ...settlement, shipment: { ...shipment, isAside } }
        if (task && !isAside) task.state = 'settling'
        if (settled.holdMs > 0) queue.heldUntilMs = Math.max(queue.heldUntilMs, clockMs() + settled.holdMs)
        if (!underWay.ended(sent, settled)) return
        settler.push(settled)
        if (queue.ready.length > 0) machine.active.add(queue)
        waker.wake()
      })
  }

  function takeRows(most: number): { rows: AsideRow[]; isAll: boolean } {
    // What becomes a row may be sent as one: whoever takes over has to know of it, like of what is sent. Once somebody has, nothing is written.
    const beyond = isFenced ? -1 : machine.toSetAside.findIndex(({ queue, task }) => !mayReach(queue, task))
    const entries = machine.toSetAside.splice(0, beyond < 0 ? most : Math.min(most, beyond))
    for (const entry of entries) rowOf.set(entry.row, entry)
    return { rows: entries.map(({ row }) => row), isAll: machine.toSetAside.length === 0 }
  }

  function onSettled(what: ToSettle, settled: Settled | null) {
    if (settled?.isFenced) isFenced = true
    if (settled && settled.webhooksVersion > machine.version()) reader.lookForSettings()
    for (const row of what.aside) {
      const { queue, task } = rowOf.get(row)!
      rowOf.delete(row)
      if (settled && !isFenced) machine.ended(queue, task, true)
    }
    for (const settlement of what.settlements) settleInMemory(settlement, settled)
    for (const { webhookId, dueInMs } of settled?.left ?? [])
      machine.due(machine.queues.get(webhookId), clockMs() + Math.max(0, dueInMs))
    for (const { webhookId, reason } of settled?.disabled ?? []) {
      log.warn('webhook.disabled', { webhook_id: webhookId, reason })
      reader.lookForSettings()
    }
    const recovered = new Set(settled?.recovered)
    for (const { shipment } of what.settlements)
      if (places.takeRecovery(shipment.webhookId)) recovered.add(shipment.webhookId)
    for (const webhookId of recovered) options.onRecovered(webhookId)
    options.onSettled(what.settlements)
    waker.wake()
  }

  function settleInMemory(settlement: Settlement, settled: Settled | null) {
    const sent = underWay.settled(settlement)
    if (!sent) return
    const { queue, task } = sent
    if (queue.ready.length > 0) machine.active.add(queue)
    if (isFenced || !task) return
    const isBlocking = settlement.next.state === 'retry'
    if (settlement.shipment.isAside) {
      // It could not be settled at all: another try is made.
      if (settled === null) giveBackLater(settlement.shipment.deliveries)
      return machine.ended(queue, task, isBlocking)
    }
    // It could not be settled at all: it waits, and is sent again.
    if (settled === null) return machine.setAside(queue, task, { dueInMs: 30_000 })
    if (isBlocking) machine.blocked(queue)
    machine.ended(queue, task, isBlocking)
  }

  function giveBackLater(deliveries: Shipment['deliveries']) {
    giveBack(outbox, { holderId, deliveries }).catch(error =>
      log.error('delivery.not_given_back', { reason: describeError(error) }),
    )
  }

  /** What is looked at now and then. */
  function tick(nowMs: number) {
    const look = lookAtAll(machine, { nowMs, holderId, room })
    if (look.isSaveWanted) isSaveWanted = true
    if (nowMs >= nextLookMs) {
      nextLookMs = nowMs + lookEveryMs
      reader.lookForAside()
    }
    nextTickMs =
      nowMs + (look.isQuiet && underWay.count() === 0 && machine.leaving.size === 0 ? beatEveryMs : tickMs)
  }

  /** Gives everything up in order: the shares at once, what is under way when it has ended. */
  async function stop(): Promise<void> {
    await beating
    const given = keeper.releaseAll()
    if (given.length > 0) await giveBack(outbox, { holderId, deliveries: given }).catch(() => {})
    const deadlineMs = clockMs() + options.drainMs
    const keepAlive = setInterval(() => beat(clockMs()), beatEveryMs)
    try {
      // The shares go first: others send what is not under way here.
      while (machine.leaving.size > 0 && clockMs() < deadlineMs + settleWithinMs) {
        settler.wanted()
        await saveNow(mostPlaces).catch(error =>
          log.error('delivery.save_failed', { reason: describeError(error) }),
        )
        if (machine.leaving.size > 0) await sleep(20)
      }
      await underWay.idleWithin(deadlineMs - clockMs())
      cutOff.abort()
      await underWay.idleWithin(settleWithinMs)
      settler.giveUp()
    } finally {
      clearInterval(keepAlive)
    }
    await beating
    await keeper.leave()
  }

  return {
    run,
    machine,
    reader,
    settlingSinceMs: settler.settlingSinceMs,
    heardAtMs: () => heardAtMs,
  }
}

export type Serving = ReturnType<typeof createServing>
