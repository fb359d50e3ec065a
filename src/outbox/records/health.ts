import type pg from 'pg'
import { failingAfterMs } from '../../domain/alert/incident.ts'
import {
  decideHealth,
  type FailingTime,
  type Health,
  type HealthReport,
  maxFailingMs,
  noteEveryMs,
  noteFailure,
} from '../../domain/delivery/health.ts'
import { fields } from '../database/fields.ts'
import { moment, now, rows, statement } from '../database/statement.ts'

/** An attempt's report about its webhook; `url` may no longer be the webhook's. */
export type WebhookReport = HealthReport & {
  readonly webhookId: number
  readonly url: string
  /** The time since the attempt began. */
  readonly startedMsAgo: number
  /** The ms until the next attempt; null: none. */
  readonly nextTryMs: number | null
  /** It failed for a cause of our own. */
  readonly isOurs: boolean
  /** It sent only alerts: their failure causes no alert. */
  readonly isOfAlert: boolean
}

/** A locked webhook whose health may change. */
type LockedHealth = Health & {
  readonly webhookId: number
  readonly url: string
  readonly hasDead: boolean
  readonly now: Date
  readonly failingTime: FailingTime | null
  readonly activatedAt: Date
}

/**
 * Locks only the webhooks whose health may change: a success does not change a healthy one, and a failure changes a failing
 * one once a minute, and when its time is up.
 */
const lockHealthStatement = `
select w.id as webhook_id, w.url, w.failing_since, w.held_until, w.failed_for_ms::float8, w.failed_at, w.next_try_at, w.activated_at,
       clock_timestamp() as now,
       coalesce(w.failing_since <= now() - $5 * interval '1 ms', false) and exists (
         select 1 from walhook.ended_deliveries d
         where d.webhook_id = w.id and d.state = 'dead' and d.ended_at >= w.failing_since
       ) as has_dead
from walhook.webhooks w
where w.id = any($1) and (
  (w.id = any($2) and w.failing_since is not null)
  or (w.id = any($3) and (
    w.failed_at is null or w.failed_at <= now() - $6 * interval '1 ms' or w.failed_for_ms >= $5 - $6))
  or w.id = any($4))
order by w.id
for no key update of w`

/** Locks what `saveHealth` may write, before any delivery row, as the deletion of a webhook does. */
export async function lockHealth(
  client: pg.PoolClient,
  news: readonly WebhookReport[],
): Promise<LockedHealth[]> {
  const idsOf = (isMeant: (one: WebhookReport) => boolean) => [
    ...new Set(news.filter(isMeant).map(one => one.webhookId)),
  ]
  const { rows } = await client.query({
    name: 'lock_health',
    text: lockHealthStatement,
    values: [
      idsOf(() => true),
      idsOf(one => one.isDelivered),
      idsOf(one => one.isFailing),
      idsOf(one => one.holdMs > 0 || one.gone !== null),
      maxFailingMs,
      noteEveryMs,
    ],
  })
  return rows.map(({ failed_for_ms: failedForMs, failed_at: failedAt, next_try_at: nextTryAt, ...rest }) => ({
    ...fields<Omit<LockedHealth, 'failingTime'>>(rest),
    failingTime: failedAt && { failedForMs, failedAt, nextTryAt },
  }))
}

type Saved = Health & {
  readonly webhookId: number
  readonly disable: string | null
  readonly time: FailingTime | null
}

/** One statement, however many webhooks of a dead receiver fail together. */
const saveAll = statement(
  'save_health',
  {
    saved: rows<Saved>(
      { webhookId: 'int', failingSince: 'timestamptz', heldUntil: 'timestamptz', disable: 'text' },
      {
        failed_for_ms: ['bigint', one => one.time && BigInt(Math.round(one.time.failedForMs))],
        failed_at: ['timestamptz', one => one.time?.failedAt ?? null],
        next_try_at: ['timestamptz', one => one.time?.nextTryAt ?? null],
      },
    ),
  },
  p => `
with ${moment}
update walhook.webhooks w
set failing_since = s.failing_since, held_until = s.held_until, failed_for_ms = s.failed_for_ms, failed_at = s.failed_at,
    next_try_at = s.next_try_at,
    disabled_at = coalesce(w.disabled_at, case when s.disable is not null then ${now} end),
    disabled_reason = coalesce(w.disabled_reason, s.disable)
from ${p.saved('s')} where w.id = s.webhook_id`,
)

/** An earlier success after the first failure may be another entity's. */
const recoveredAfterMs = 60_000

/** A webhook that walhook has disabled, and why. */
export type Disabled = {
  readonly webhookId: number
  readonly reason: string
  readonly code: 'gone' | 'failed_too_long'
  /** Only alerts were refused. */
  readonly isOfAlert: boolean
}

/** The changes of webhook health. */
type SavedHealth = {
  readonly disabled: readonly Disabled[]
  /** Webhooks that had failed for a while and work again. */
  readonly recovered: readonly number[]
  /** Webhooks that work again, however short the failure. */
  readonly wellAgain: readonly number[]
  /** Webhooks failing for a minute, not only with alerts. */
  readonly failing: readonly number[]
}

export async function saveHealth(
  client: pg.PoolClient,
  locked: readonly LockedHealth[],
  news: readonly WebhookReport[],
): Promise<SavedHealth> {
  const saved: Saved[] = []
  const disabled: Disabled[] = []
  const recovered: number[] = []
  const wellAgain: number[] = []
  const failing: number[] = []
  for (const { webhookId, url, hasDead, now, failingTime, activatedAt, ...health } of locked) {
    // A request from before the activation, or to an earlier URL, does not count.
    const isOfNow = ({ startedMsAgo }: WebhookReport) => now.getTime() - startedMsAgo >= activatedAt.getTime()
    const own = news.filter(one => one.webhookId === webhookId && one.url === url && isOfNow(one))
    if (own.length === 0) continue
    const summed = sum(own)
    const time = failingTimeOf(own, { failingTime, failingSince: health.failingSince, now })
    const decided = decideHealth(health, summed, {
      now,
      hasDead,
      ...(time && { failedForMs: time.failedForMs }),
    })
    if (isFailingLong(own, decided.health.failingSince, now) && decided.disable === null)
      failing.push(webhookId)
    if (decided.health === health && decided.disable === null && time === failingTime) continue
    saved.push({ ...decided.health, webhookId, disable: decided.disable, time })
    if (decided.disable !== null)
      disabled.push({ webhookId, reason: decided.disable, ...whyDisabled(own, summed) })
    if (!health.failingSince || !summed.isDelivered) continue
    wellAgain.push(webhookId)
    if (now.getTime() - health.failingSince.getTime() > recoveredAfterMs) recovered.push(webhookId)
  }
  if (saved.length > 0) await saveAll(client, { saved })
  return { disabled, recovered, wellAgain, failing }
}

function isFailingLong(own: readonly WebhookReport[], since: Date | null, now: Date): boolean {
  return (
    since !== null &&
    now.getTime() - since.getTime() >= failingAfterMs &&
    own.some(one => one.isFailing && !one.isOfAlert)
  )
}

function whyDisabled(
  own: readonly WebhookReport[],
  { gone }: HealthReport,
): Pick<Disabled, 'code' | 'isOfAlert'> {
  const causes = own.filter(one => (gone === null ? one.isFailing : one.gone !== null))
  return { code: gone === null ? 'failed_too_long' : 'gone', isOfAlert: causes.every(one => one.isOfAlert) }
}

/** How long a webhook has failed, including this report; null: it does not. */
function failingTimeOf(
  news: readonly WebhookReport[],
  before: { failingTime: FailingTime | null; failingSince: Date | null; now: Date },
): FailingTime | null {
  if (news.some(one => one.isDelivered)) return null
  const failures = news.filter(one => one.isFailing)
  if (failures.length === 0) return before.failingTime
  const waits = failures.flatMap(({ nextTryMs }) => nextTryMs ?? [])
  return noteFailure(before.failingTime, before.failingSince, {
    now: before.now,
    nextTryMs: waits.length === 0 ? null : Math.min(...waits),
    isOurs: failures.every(({ isOurs }) => isOurs),
  })
}

function sum(news: readonly HealthReport[]): HealthReport {
  return {
    isDelivered: news.some(one => one.isDelivered),
    isFailing: news.some(one => one.isFailing),
    isExhausted: news.some(one => one.isExhausted),
    holdMs: Math.max(...news.map(one => one.holdMs)),
    gone: news.find(one => one.gone !== null)?.gone ?? null,
  }
}
