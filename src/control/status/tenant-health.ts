import { spanWithNow, type Traffic } from '../../domain/shown/traffic.ts'
import { minuteMs } from '../../domain/value/duration.ts'
import type { Webhook } from '../../domain/webhook/webhook.ts'
import { type Count, countWaitingOf } from '../../outbox/reading/queue-depth.ts'
import { countDeadOf } from '../../outbox/reading/queue-total.ts'
import { listWebhooks } from '../../outbox/records/webhooks.ts'
import { overCells } from '../kit/cells.ts'
import type { Control } from '../kit/control.ts'
import { readTrafficOf } from './health.ts'

export type TenantHealth = {
  readonly webhooks: number
  /** Disabled webhooks, then failing ones, at most ten of each. */
  readonly disabled: readonly Webhook[]
  readonly failing: readonly Webhook[]
  readonly waiting: Count
  readonly dead: Count
  /** The last hour by minute, and the last day by quarter of an hour, both with the current minute. */
  readonly hour: Traffic
  readonly day: Traffic
}

/** Figures cover at most this many webhooks. */
const maxWebhooks = 500
const maxNamed = 10
const maxCounted = 1_000

/** The health of one tenant's webhooks, and of nothing else. */
export async function readTenantHealth(
  control: Pick<Control, 'cells'>,
  tenant: string,
  nowMs: number,
): Promise<TenantHealth> {
  const [{ results }, hour, day] = await Promise.all([
    overCells(control, async outbox => {
      const webhooks = await listWebhooks(outbox, { tenant, after: 0, limit: maxWebhooks })
      const ids = webhooks.map(({ id }) => id)
      const [waiting, dead] = await Promise.all([
        countWaitingOf(outbox, ids, maxCounted),
        countDeadOf(outbox, ids, maxCounted),
      ])
      return { webhooks, waiting: [...waiting.values()], dead }
    }),
    readTrafficOf(control, spanWithNow(nowMs, minuteMs, 60), tenant),
    readTrafficOf(control, spanWithNow(nowMs, 15 * minuteMs, 96), tenant),
  ])
  const found = results.map(({ value }) => value)
  const webhooks = found.flatMap(({ webhooks }) => webhooks)
  const active = webhooks.filter(({ isActive }) => isActive)
  const dead = found.reduce((sum, { dead }) => sum + dead, 0)
  return {
    webhooks: webhooks.length,
    disabled: active.filter(({ disabledAt }) => disabledAt !== null).slice(0, maxNamed),
    failing: active
      .filter(({ disabledAt, failingSince }) => disabledAt === null && failingSince !== null)
      .slice(0, maxNamed),
    waiting: sumOf(found.flatMap(({ waiting }) => waiting)),
    dead: { count: Math.min(dead, maxCounted), isExact: dead <= maxCounted },
    ...{ hour, day },
  }
}

function sumOf(counts: readonly Count[]): Count {
  const count = counts.reduce((sum, each) => sum + each.count, 0)
  return { count, isExact: counts.every(({ isExact }) => isExact) }
}
