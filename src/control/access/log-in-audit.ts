import { walhookItself } from '../../domain/access/audit.ts'
import { networkOf } from '../../domain/value/back-off.ts'
import { type Outbox, transaction } from '../../outbox/database/database.ts'
import { recordAudit } from '../../outbox/records/audit.ts'

/** Further failures of a network are counted this long, and recorded together. */
const countedMs = 60_000
/** For all networks, so that many addresses can't fill the table either. */
const maxInAMinute = 30
const maxNetworks = 1_000

type Counted = { sinceMs: number; failures: number }

/**
 * Records failed log-ins: a network's first at once, then at most once a minute with a count, and at most 30 records a minute
 * in all. This bounds what a stranger can add to the audit.
 */
export function createLogInAudit({ outbox, nowMs }: { outbox: Pick<Outbox, 'pool'>; nowMs: () => number }) {
  const networks = new Map<string, Counted>()
  let minute = { sinceMs: Number.NEGATIVE_INFINITY, records: 0 }

  return {
    /** `why`: further facts. */
    async refused(address: string, why: object = {}): Promise<void> {
      const network = networkOf(address)
      const before = networks.get(network)
      const failures = (before?.failures ?? 0) + 1
      if (before && nowMs() - before.sinceMs < countedMs) {
        before.failures = failures
        return
      }
      if (nowMs() - minute.sinceMs >= countedMs) minute = { sinceMs: nowMs(), records: 0 }
      networks.delete(network)
      if (minute.records >= maxInAMinute) {
        keep(networks, network, { sinceMs: before?.sinceMs ?? Number.NEGATIVE_INFINITY, failures })
        return
      }
      minute.records++
      keep(networks, network, { sinceMs: nowMs(), failures: 0 })
      await transaction(outbox.pool, client =>
        recordAudit(client, walhookItself, 'session.refused', { to: { address, failures, ...why } }),
      )
    },
  }
}

function keep(networks: Map<string, Counted>, network: string, counted: Counted): void {
  networks.set(network, counted)
  if (networks.size > maxNetworks) networks.delete(networks.keys().next().value!)
}
