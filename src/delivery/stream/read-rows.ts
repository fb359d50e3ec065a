import { bytesFree } from '../../domain/delivery/portion.ts'
import type { TimeId } from '../../domain/value/time-id.ts'
import { claimBatches } from '../../outbox/aside/batches.ts'
import { webhooksWithAside } from '../../outbox/aside/blocked.ts'
import { pickDue } from '../../outbox/aside/pick-due.ts'
import { giveBack, readTaken } from '../../outbox/aside/taken.ts'
import { onceFor } from './asking.ts'
import type { Machine } from './machine.ts'
import { isOpen, type Queue, tasksOf } from './queue.ts'
import type { Reader } from './reader.ts'
import { readUpToOf, takeRows } from './streams.ts'
import { blocked, due } from './tasks.ts'

const maxPicked = 100
/**
 * How many webhooks that deliver are picked for at once, and how many others: a turn of thousands that fail takes long. Heartbeats and
 * settlements need connections, too.
 */
const maxPicking = { delivering: 3, other: 2 }

const sharesOf = ({ main, leaving }: Machine) => [...main.keys()].filter(share => !leaving.has(share))

const readAtMs = ({ dueAtMs, restsUntilMs }: Queue) => Math.max(dueAtMs, restsUntilMs)

/** Starts taking due rows, for webhooks in turns. Returns when the next one is due, by our clock. */
export function pickDueRows(reader: Reader): number {
  const { machine } = reader
  const nowMs = reader.clockMs()
  let nextMs = Number.POSITIVE_INFINITY
  for (const queue of machine.dues) {
    if (readAtMs(queue) > nowMs) {
      nextMs = Math.min(nextMs, readAtMs(queue))
      continue
    }
    const kind = reader.isDelivering(queue) ? 'delivering' : 'other'
    // The end of one wakes the loop, which begins the next.
    if (reader.picking[kind] >= maxPicking[kind] || queue.busy.has('picking')) continue
    if (mayTake(reader, queue, nowMs)) begin(reader, queue, kind)
  }
  return nextMs
}

const bytesFreeOf = ({ bytes, settings }: Queue) => bytesFree(bytes, settings.batch !== null)

/** Whether it can be sent more than is ready, and there is memory for it. */
function mayTake({ freeCapacity }: Reader, queue: Queue, nowMs: number): boolean {
  return isOpen(queue, nowMs) && freeCapacity(queue) > queue.ready.length && bytesFreeOf(queue) > 0
}

function begin(reader: Reader, queue: Queue, kind: keyof Reader['picking']): void {
  const { picking } = reader
  reader.machine.dues.delete(queue)
  queue.dueAtMs = Number.POSITIVE_INFINITY
  onceFor(reader.asking, queue, 'picking', () => {
    picking[kind]++
    return (queue.settings.batch ? pickBatches : pick)(reader, queue).finally(() => picking[kind]--)
  })
}

async function pick(
  { outbox, holderId, machine, clockMs, freeCapacity }: Reader,
  queue: Queue,
): Promise<void> {
  const limit = Math.min(maxPicked, freeCapacity(queue) - queue.ready.length)
  const webhook = {
    holderId,
    webhookId: queue.id,
    shares: sharesOf(machine),
    limit,
    maxBytes: bytesFreeOf(queue),
  }
  const { deliveries, nextDueInMs } = await pickDue(outbox, webhook)
  if (nextDueInMs !== null) due(machine, queue, clockMs() + Math.max(0, nextDueInMs))
  takeRows(machine, queue, deliveries)
}

async function pickBatches(reader: Reader, queue: Queue): Promise<void> {
  const { outbox, holderId, machine, clockMs, freeCapacity } = reader
  const { batch, mode } = queue.settings
  const limit = freeCapacity(queue)
  const maxBytes = bytesFreeOf(queue)
  const webhook = { webhookId: queue.id, batch: batch!, mode, readUpTo: readUpToOf(machine, queue), maxBytes }
  const beganMs = clockMs()
  const claimed = await claimBatches(outbox, { holderId, shares: sharesOf(machine), limit, ...webhook })
  if (claimed.isFenced) return reader.fenced()
  const { shipments, checkAgainInMs, fresh } = claimed
  queue.fresh = fresh
  // Each commit would cause a search: unsuccessful ones take at most a quarter of the time.
  queue.restsUntilMs = shipments.length > 0 ? 0 : clockMs() + 3 * (clockMs() - beganMs)
  if (checkAgainInMs !== null) due(machine, queue, clockMs() + checkAgainInMs)
  for (const shipment of shipments) reader.send(queue, shipment)
}

/** Reads which entities of some shares may be blocked, and when their rows are due: before anything of new shares is read. */
export async function askForAside(
  { outbox, machine, clockMs }: Pick<Reader, 'outbox' | 'machine' | 'clockMs'>,
  among: readonly number[] = sharesOf(machine),
): Promise<void> {
  for (const { webhookId, dueInMs } of await webhooksWithAside(outbox, among)) {
    const queue = machine.queues.get(webhookId)
    if (!queue) continue
    blocked(queue)
    if (dueInMs !== null) due(machine, queue, clockMs() + dueInMs)
  }
}

/** Returns rows that the tables assign to this process and that it does not know: the answer to a commit was lost. */
export async function giveBackUnknown({ outbox, holderId, machine, wanted }: Reader): Promise<void> {
  wanted.taken = false
  const picking = new Set<Queue>()
  const notePicking = () => {
    for (const queue of machine.queues.values()) if (queue.busy.has('picking')) picking.add(queue)
  }
  notePicking()
  const { taken, batches } = await readTaken(outbox, holderId)
  notePicking()
  const isUnknown = (webhookId: number, id: TimeId) => {
    const queue = machine.queues.get(webhookId)
    if (!queue || picking.has(queue) || queue.inFlight.has(id)) return false
    for (const task of tasksOf(queue)) if (!task.window && task.delivery.eventId === id) return false
    return true
  }
  const deliveries = taken.filter(({ webhookId, eventId }) => isUnknown(webhookId, eventId))
  const lost = batches.filter(({ webhookId, batchId }) => isUnknown(webhookId, batchId))
  await giveBack(outbox, { holderId, deliveries, batches: lost })
  // Rows being taken now are checked again later.
  if (picking.size > 0) wanted.taken = true
  if (deliveries.length + lost.length > 0) wanted.aside = true
}
