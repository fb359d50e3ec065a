import { noteSent } from '../../domain/delivery/window.ts'
import type { Shipment } from '../../outbox/aside/shipment.ts'
import { isOpen, type Queue, type Task } from '../stream/queue.ts'
import { isStale } from '../stream/reader.ts'
import { reachIds, reachOf } from './progress.ts'
import { capacityOf, mayBegin, type Serving } from './serving.ts'

/** Sends all ready tasks within the limits, webhooks in turns. */
export function sendReady(serving: Serving, nowMs: number): void {
  const { machine, capacity, reader } = serving
  // Known changes are read first.
  if (isStale(reader)) return
  if (machine.active.size > 0 && !mayBegin(serving)) return
  // A copy: webhooks that can't be sent to yet are added again.
  for (const queue of [...machine.active]) {
    if (capacity.isFull()) return
    sendOf(serving, queue, nowMs)
  }
}

function sendOf(serving: Serving, queue: Queue, nowMs: number): void {
  const { active } = serving.machine
  const { ready } = queue
  active.delete(queue)
  if (!isOpen(queue, nowMs)) return
  while (ready.length > 0) {
    const task = ready[0]!
    if (task.state === 'ready') {
      if (capacityOf(serving, queue) <= 0) return
      if (!mayReach(serving, queue, task)) break
    }
    ready.shift()
    if (task.state !== 'ready') continue
    task.state = 'sending'
    task.sentMs = serving.machine.patientMs()
    const { delivery, window } = task
    if (window) noteSent(window, delivery.eventId)
    const isAside = window === null
    begin(serving, queue, { webhookId: queue.id, batchId: null, isAside, deliveries: [delivery] }, task)
  }
  if (ready.length > 0) active.add(queue)
}

/** Whether the committed reach of its stream includes a task; otherwise that is requested. */
export function mayReach(serving: Serving, queue: Queue, { window, delivery }: Task): boolean {
  const { progress, membership, machine } = serving
  if (window === null) return true
  if (queue.own && !queue.isJoining) {
    if (progress.ownReach(queue, delivery.share) >= delivery.eventId) return true
    progress.wantReach(queue)
    serving.isSaveWanted = true
    return false
  }
  if (reachOf(machine) > membership.maySendUpTo() + reachIds / 2n) serving.isReachWanted = true
  return delivery.eventId <= membership.maySendUpTo()
}

/** Begins a request. Its end goes to the settler, if this process still settles. */
export function begin(serving: Serving, queue: Queue, shipment: Shipment, task: Task | null): void {
  const { inFlight, membership, settler, machine, waker } = serving
  const { id, settings } = queue
  const sent = { queue, shipment, task }
  inFlight.begin(sent)
  const sealed =
    settings.sealed.previousSecret === null || queue.previousSecretUntilMs > serving.clockMs()
      ? settings.sealed
      : { ...settings.sealed, previousSecret: null }
  const target = { webhookId: id, url: settings.url, sealed, traceparent: settings.traceparent }
  void serving
    .send(target, shipment, { signal: serving.cutOff.signal, mayBegin: membership.mayBegin })
    .then(settlement => {
      // It has a row by now, or will before this is settled.
      const isAside = shipment.isAside || task?.isRowComing === true
      const settled =
        isAside === shipment.isAside ? settlement : { ...settlement, shipment: { ...shipment, isAside } }
      if (task && !isAside) task.state = 'settling'
      if (settled.holdMs > 0)
        queue.heldUntilMs = Math.max(queue.heldUntilMs, serving.clockMs() + settled.holdMs)
      if (!inFlight.ended(sent, settled)) return
      settler.push(settled)
      if (queue.ready.length > 0) machine.active.add(queue)
      waker.wake()
    })
}
