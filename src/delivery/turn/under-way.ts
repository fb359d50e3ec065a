import { idsOf, type Shipment } from '../../outbox/aside/shipment.ts'
import type { Settlement } from '../../outbox/settle/settle.ts'
import { sleep } from '../../runtime/sleep.ts'
import type { Places } from '../sending/places.ts'
import type { Queue, Task } from '../stream/queue.ts'

/** A request from its beginning to the commit that settles it. */
export type Sent = { readonly queue: Queue; readonly shipment: Shipment; readonly task: Task | null }

/** What a holder has under way. Its places are the process's: the holder that follows it in the same process has all of them again. */
export function createUnderWay(places: Places) {
  const sentAs = new Map<Settlement, Sent>()
  let count = 0
  let isOver = false
  let onIdle = () => {}

  return {
    count: () => count,

    begin({ queue, shipment, task }: Sent) {
      places.begin(queue.id, queue.settings)
      queue.sending++
      count++
      for (const id of idsOf(shipment)) queue.underWay.add(id)
      if (task) queue.sent.add(task)
    },

    /** The request has ended, and is to be settled. False: nobody settles it any more. */
    ended(sent: Sent, settlement: Settlement): boolean {
      if (isOver) places.settled(sent.queue.id)
      else sentAs.set(settlement, sent)
      return !isOver
    },

    /** Its settlement is over, however that went. Returns what it was of; null: that is not known any more. */
    settled(settlement: Settlement): Sent | null {
      const sent = sentAs.get(settlement)
      if (!sent) return null
      const { queue, task } = sent
      sentAs.delete(settlement)
      places.settled(queue.id)
      queue.sending--
      count--
      for (const id of idsOf(settlement.shipment)) queue.underWay.delete(id)
      if (task) queue.sent.delete(task)
      if (count === 0) onIdle()
      return sent
    },

    /** Waits until nothing is under way, `ms` at the most. */
    async idleWithin(ms: number): Promise<void> {
      if (count === 0 || ms <= 0) return
      const waited = new AbortController()
      onIdle = () => waited.abort()
      await sleep(ms, waited.signal)
    },

    /** The holder is none any more: what is not settled gives its places back now, what has not ended when it ends. */
    over() {
      isOver = true
      for (const { queue } of sentAs.values()) places.settled(queue.id)
      sentAs.clear()
    },
  }
}
