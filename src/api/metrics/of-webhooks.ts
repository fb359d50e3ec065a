import { Counter, type Registry } from 'prom-client'
import { type Outcome, outcomes } from '../../domain/delivery/outcome.ts'
import { type Busiest, countWork, forgetHalf, giveNames } from '../../domain/shown/busiest.ts'

/** The number of webhooks with series of their own; all others share `other`. */
const maxWebhooks = 200
const halfLifeMs = 10 * 60_000

/**
 * Attempts by webhook and outcome: the busiest webhooks have series of their own. An attempt counts where its webhook is at
 * that moment, so no series falls; one that ends and returns begins at 0, which Prometheus takes for a restart.
 */
export function countByWebhook(register: Registry, nowMs: () => number, max = maxWebhooks) {
  const attempts = new Counter({
    name: 'walhook_webhook_attempts_total',
    help: `HTTP attempts by webhook and outcome, without tests. The ${max} busiest webhooks of this process have their own series, all others share \`other\``,
    labelNames: ['webhook', 'outcome'],
    registers: [register],
  })
  const busiest: Busiest = { named: new Map(), others: new Map() }
  let halvedAtMs = nowMs()
  return {
    onAttempts(all: readonly { readonly webhookId: number; readonly outcome: Outcome }[]) {
      for (const [webhookId, its] of Map.groupBy(all, attempt => attempt.webhookId)) {
        const webhook = countWork(busiest, webhookId, max, its.length) ? String(webhookId) : 'other'
        for (const [outcome, { length }] of Map.groupBy(its, attempt => attempt.outcome))
          attempts.inc({ webhook, outcome }, length)
      }
    },

    /** Updates which webhooks have series of their own; before each reading. */
    turn() {
      for (const webhookId of giveNames(busiest))
        for (const outcome of outcomes) attempts.remove({ webhook: String(webhookId), outcome })
      for (; nowMs() - halvedAtMs >= halfLifeMs; halvedAtMs += halfLifeMs) forgetHalf(busiest)
    },
  }
}
