import type { AsideRow } from '../../outbox/aside/aside.ts'
import { giveBack } from '../../outbox/aside/taken.ts'
import type { Settled, Settlement, ToSettle } from '../../outbox/settle/settle.ts'
import { describeError } from '../../runtime/log.ts'
import { blocked, due, ended, setAside } from '../stream/tasks.ts'
import { mayReach } from './begin.ts'
import type { Serving } from './serving.ts'

/** The retry delay of what could not be settled at all. */
const unsettledAgainMs = 30_000

export function takeRowsToWrite(serving: Serving, max: number): { rows: AsideRow[]; left: AsideRow[] } {
  const { toSetAside } = serving.machine
  // A new row may be sent as one: a takeover must know of it, like of sent events. After a takeover, the fence decides.
  const beyond = serving.isFenced
    ? -1
    : toSetAside.findIndex(({ queue, task }) => !mayReach(serving, queue, task))
  const entries = toSetAside.splice(0, beyond < 0 ? max : Math.min(max, beyond))
  for (const entry of entries) serving.asideOf.set(entry.row, entry)
  return { rows: entries.map(({ row }) => row), left: toSetAside.map(({ row }) => row) }
}

/** A commit of the settler; null: it failed for good. */
export function noteSettled(serving: Serving, what: ToSettle, settled: Settled | null): void {
  const { machine, reader, capacity, log, clockMs } = serving
  if (settled?.isFenced) serving.isFenced = true
  if (settled && settled.webhooksVersion > machine.version) reader.wanted.settings = true
  for (const row of what.aside) {
    const { queue, task } = serving.asideOf.get(row)!
    serving.asideOf.delete(row)
    if (settled && !serving.isFenced) ended(machine, queue, task, true)
  }
  for (const settlement of what.settlements) settleInMemory(serving, settlement, settled)
  for (const { webhookId, dueInMs } of settled?.left ?? [])
    due(machine, machine.queues.get(webhookId), clockMs() + Math.max(0, dueInMs))
  for (const { webhookId, reason } of settled?.disabled ?? []) {
    log.warn('webhook.disabled', { webhook_id: webhookId, reason })
    reader.wanted.settings = true
  }
  const recovered = new Set(settled?.recovered)
  for (const { shipment } of what.settlements)
    if (capacity.takeRecovery(shipment.webhookId)) recovered.add(shipment.webhookId)
  for (const webhookId of recovered) serving.onRecovered(webhookId)
  serving.onSettled(what.settlements)
  serving.waker.wake()
}

function settleInMemory(serving: Serving, settlement: Settlement, settled: Settled | null): void {
  const { machine } = serving
  const sent = serving.inFlight.settled(settlement)
  if (!sent) return
  const { queue, task } = sent
  if (queue.ready.length > 0) machine.active.add(queue)
  if (serving.isFenced || !task) return
  const isBlocking = settlement.next.state === 'retry'
  if (settlement.shipment.isAside) {
    // Could not be settled: it is sent again.
    if (settled === null) machine.toGiveBack.push(...settlement.shipment.deliveries)
    ended(machine, queue, task, isBlocking)
  } else if (settled === null) {
    // It waits, and is sent again.
    setAside(machine, queue, task, { dueInMs: unsettledAgainMs })
  } else {
    if (isBlocking) blocked(queue)
    ended(machine, queue, task, isBlocking)
  }
}

/** Returns taken rows that are not sent. */
export async function giveBackTaken({
  outbox,
  membership,
  machine,
  reader,
  waker,
  log,
}: Serving): Promise<void> {
  const deliveries = machine.toGiveBack.splice(0)
  if (deliveries.length === 0) return
  try {
    await giveBack(outbox, { holderId: membership.holderId, deliveries })
    reader.wanted.aside = true
  } catch (error) {
    reader.wanted.taken = true
    log.error('delivery.not_given_back', { reason: describeError(error) })
  }
  waker.wake()
}
