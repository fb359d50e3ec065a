import { spanUntil, type Traffic } from '../../domain/shown/traffic.ts'
import { minuteMs } from '../../domain/value/duration.ts'
import type { Webhook } from '../../domain/webhook/webhook.ts'
import { readTraffic } from '../../outbox/figures/traffic.ts'
import { type Count, countWaitingOf } from '../../outbox/reading/queue-depth.ts'
import { countDeadOf } from '../../outbox/reading/queue-total.ts'
import { listWebhooks } from '../../outbox/records/webhooks.ts'
import type { Control } from '../kit/control.ts'

/** How the webhooks of a tenant are. */
export type TenantHealth = {
  readonly webhooks: number
  /** Those that walhook has disabled, and then those that fail, at most ten of each. */
  readonly disabled: readonly Webhook[]
  readonly failing: readonly Webhook[]
  readonly waiting: Count
  readonly dead: Count
  readonly hour: Traffic
  readonly day: Traffic
}

/** More webhooks than a tenant has: of no more the figures are read. */
const mostWebhooks = 500
const mostNamed = 10
const mostCounted = 1_000

/** The health of a tenant's own webhooks: of nothing else there is a word in it. */
export async function readTenantHealth(
  { outbox }: Pick<Control, 'outbox'>,
  tenant: string,
  nowMs: number,
): Promise<TenantHealth> {
  const webhooks = await listWebhooks(outbox, { tenant, after: 0, limit: mostWebhooks })
  const ids = webhooks.map(({ id }) => id)
  const active = webhooks.filter(({ isActive }) => isActive)
  const [waiting, dead, hour, day] = await Promise.all([
    countWaitingOf(outbox, ids, mostCounted),
    countDeadOf(outbox, ids, mostCounted),
    readTraffic(outbox, spanUntil(nowMs, minuteMs, 60), tenant),
    readTraffic(outbox, spanUntil(nowMs, 15 * minuteMs, 96), tenant),
  ])
  return {
    webhooks: webhooks.length,
    disabled: active.filter(({ disabledAt }) => disabledAt !== null).slice(0, mostNamed),
    failing: active
      .filter(({ disabledAt, failingSince }) => disabledAt === null && failingSince !== null)
      .slice(0, mostNamed),
    waiting: sumOf([...waiting.values()]),
    dead: { count: Math.min(dead, mostCounted), isExact: dead <= mostCounted },
    ...{ hour, day },
  }
}

function sumOf(counts: readonly Count[]): Count {
  const count = counts.reduce((sum, each) => sum + each.count, 0)
  return { count, isExact: counts.every(({ isExact }) => isExact) }
}
