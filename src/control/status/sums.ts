import type { Traffic } from '../../domain/shown/traffic.ts'
import type { QueueDepth } from '../../outbox/reading/queue-total.ts'
import type { MailTrouble } from '../../outbox/records/alert-mails.ts'

/** One figure of several cells. The first is main's. */
type Some<T> = readonly T[]

const sum = <T>(all: Some<T>, of: (one: T) => number) => all.reduce((total, one) => total + of(one), 0)

/** Traffic of the same span. `share` is the least: some figure is estimated. */
export function sumTraffic(all: Some<Traffic>): Traffic {
  const [main] = all as [Traffic, ...Traffic[]]
  if (all.length === 1) return main
  const buckets = main.buckets.map((_, i) => ({
    delivered: sum(all, ({ buckets }) => buckets[i]?.delivered ?? 0),
    failed: sum(all, ({ buckets }) => buckets[i]?.failed ?? 0),
  }))
  return { ...main, buckets, share: Math.min(...all.map(({ share }) => share)) }
}

export function sumQueues(all: Some<QueueDepth>): QueueDepth {
  return {
    deliveries: sum(all, one => one.deliveries),
    setAside: sum(all, one => one.setAside),
    lanes: sum(all, one => one.lanes),
    deadDeliveries: sum(all, one => one.deadDeliveries),
    streamsBehind: sum(all, one => one.streamsBehind),
    oldestPendingMs: Math.max(...all.map(one => one.oldestPendingMs)),
  }
}

export function sumMails(all: Some<MailTrouble>): MailTrouble {
  return {
    failed: sum(all, one => one.failed),
    givenUp: sum(all, one => one.givenUp),
    waiting: sum(all, one => one.waiting),
    lastError: all.find(({ lastError }) => lastError !== null)?.lastError ?? null,
  }
}
