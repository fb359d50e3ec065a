import type { TimeId } from '../../domain/value/time-id.ts'
import { giveBack, readTaken } from '../../outbox/aside/taken.ts'
import type { Outbox } from '../../outbox/database/database.ts'
import type { Machine } from './machine.ts'
import { type Queue, tasksOf } from './queue.ts'

/**
 * Gives back what the tables say that a holder has taken, and it does not know of: the answer to a commit was lost, and nobody else
 * would look at it. `isUnsure`: something was being taken at this moment, so that it is to be asked again; `isChanged`: something was given back.
 */
export async function giveBackUnknown(
  outbox: Outbox,
  holderId: number,
  machine: Machine,
): Promise<{ isUnsure: boolean; isChanged: boolean }> {
  const picking = new Set<Queue>()
  const notePicking = () => {
    for (const queue of machine.queues.values()) if (queue.busy.has('picking')) picking.add(queue)
  }
  notePicking()
  const { taken, batches } = await readTaken(outbox, holderId)
  notePicking()
  const isUnknown = (webhookId: number, id: TimeId) => {
    const queue = machine.queues.get(webhookId)
    if (!queue || picking.has(queue) || queue.underWay.has(id)) return false
    for (const task of tasksOf(queue)) if (!task.window && task.delivery.eventId === id) return false
    return true
  }
  const deliveries = taken.filter(({ webhookId, eventId }) => isUnknown(webhookId, eventId))
  const lost = batches.filter(({ webhookId, batchId }) => isUnknown(webhookId, batchId))
  await giveBack(outbox, { holderId, deliveries, batches: lost })
  return { isUnsure: picking.size > 0, isChanged: deliveries.length + lost.length > 0 }
}
