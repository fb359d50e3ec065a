import { idsOf, type Shipment } from '../../outbox/aside/shipment.ts'
import type { Settlement } from '../../outbox/settle/settle.ts'
import { sleep } from '../../runtime/sleep.ts'
import type { Capacity } from '../sending/capacity.ts'
import type { Queue, Task } from '../stream/queue.ts'

/** A request, from its beginning to the commit that settles it. */
export type Sent = { readonly queue: Queue; readonly shipment: Shipment; readonly task: Task | null }

const bytesOf = ({ deliveries }: Shipment) => deliveries.reduce((sum, { body }) => sum + body.length, 0)

/** A holder's requests in flight. Their capacity belongs to the process: its next holder has all of it again. */
export function createInFlight(capacity: Capacity) {
  const sentAs = new Map<Settlement, Sent>()
  let count = 0
  let isOver = false
  let onIdle = () => {}

  return {
    count: () => count,

    begin({ queue, shipment, task }: Sent) {
      capacity.begin(queue.id, queue.settings)
      queue.sending++
      count++
      for (const id of idsOf(shipment)) queue.inFlight.add(id)
      if (task) queue.sent.add(task)
      else queue.bytes += bytesOf(shipment)
    },

    /** The request has ended, and is to be settled. False: nobody settles it. */
    ended(sent: Sent, settlement: Settlement): boolean {
      if (isOver) capacity.settled(sent.queue.id)
      else sentAs.set(settlement, sent)
      return !isOver
    },

    /** Its settlement ended, with or without success. Returns its shipment; null: unknown by now. */
    settled(settlement: Settlement): Sent | null {
      const sent = sentAs.get(settlement)
      if (!sent) return null
      const { queue, task } = sent
      sentAs.delete(settlement)
      capacity.settled(queue.id)
      queue.sending--
      count--
      for (const id of idsOf(settlement.shipment)) queue.inFlight.delete(id)
      if (task) queue.sent.delete(task)
      else queue.bytes -= bytesOf(settlement.shipment)
      if (count === 0) onIdle()
      return sent
    },

    /** Waits until nothing is in flight, at most `ms`. */
    async idleWithin(ms: number): Promise<void> {
      if (count === 0 || ms <= 0) return
      const waited = new AbortController()
      onIdle = () => waited.abort()
      await sleep(ms, waited.signal)
    },

    /** The holder ends: unsettled requests return their capacity now, others when they end. */
    over() {
      isOver = true
      for (const { queue } of sentAs.values()) capacity.settled(queue.id)
      sentAs.clear()
    },
  }
}
