import type pg from 'pg'
import { failingAfterMs } from '../../domain/alert/incident.ts'
import {
  decideHealth,
  type FailingTime,
  type Health,
  maxFailingMs,
  type News,
  noteEveryMs,
  noteFailure,
} from '../../domain/delivery/health.ts'
import { fields } from '../database/fields.ts'

/** What an attempt says of its webhook: sent to `url`, which may no longer be the webhook's. */
export type WebhookNews = News & {
  readonly webhookId: number
  readonly url: string
  /** How long ago the attempt began. */
  readonly startedMsAgo: number
  /** In how many ms what has failed is tried again; null: it is not. */
  readonly nextTryMs: number | null
  /** It failed for a cause of our own. */
  readonly isOurs: boolean
  /** It sent nothing but alerts: what becomes of these is nobody's alert. */
  readonly isOfAlert: boolean
}

/** A webhook whose health may have to be written, locked. */
export type LockedHealth = Health & {
  readonly webhookId: number
  readonly url: string
  readonly hasDead: boolean
  readonly now: Date
  readonly failingTime: FailingTime | null
  readonly activatedAt: Date
}

/**
 * Locks the webhooks of which the news may change something, and only those: of one that is well, a success
 * changes nothing, and of one that fails, a failure does once a minute, and when its time is up.
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

/**
 * Locks what `saveHealth` may write. It comes before any row of a delivery, as in the deletion of a
 * webhook.
 */
export async function lockHealth(
  client: pg.PoolClient,
  news: readonly WebhookNews[],
): Promise<LockedHealth[]> {
  const idsOf = (isMeant: (one: WebhookNews) => boolean) => [
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

const saveHealthStatement = `
update walhook.webhooks
set failing_since = $2, held_until = $3, failed_for_ms = $5, failed_at = $6, next_try_at = $7,
    disabled_at = coalesce(disabled_at, case when $4::text is not null then now() end),
    disabled_reason = coalesce(disabled_reason, $4)
where id = $1`

/** A success so soon after the first failure may be another entity's. */
const recoveredAfterMs = 60_000

/** A webhook that walhook has disabled, and why. */
export type Disabled = {
  readonly webhookId: number
  readonly reason: string
  readonly code: 'gone' | 'failed_too_long'
  /** Only alerts were refused. */
  readonly isOfAlert: boolean
}

/** What the news have made of webhooks. */
export type SavedHealth = {
  readonly disabled: readonly Disabled[]
  /** Those that have failed for a while and fail no more. */
  readonly recovered: readonly number[]
  /** Those that fail no more, however short they did. */
  readonly wellAgain: readonly number[]
  /** Those that have failed for a minute, and not only with alerts. */
  readonly failing: readonly number[]
}

/** Writes what the news make of the locked webhooks, where they change anything. */
export async function saveHealth(
  client: pg.PoolClient,
  locked: readonly LockedHealth[],
  news: readonly WebhookNews[],
): Promise<SavedHealth> {
  const disabled: Disabled[] = []
  const recovered: number[] = []
  const wellAgain: number[] = []
  const failing: number[] = []
  for (const { webhookId, url, hasDead, now, failingTime, activatedAt, ...health } of locked) {
    // What was under way when the webhook was activated, or got its URL, was meant for what it was before.
    const isOfNow = ({ startedMsAgo }: WebhookNews) => now.getTime() - startedMsAgo >= activatedAt.getTime()
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
    await client.query({
      name: 'save_health',
      text: saveHealthStatement,
      values: [
        webhookId,
        decided.health.failingSince,
        decided.health.heldUntil,
        decided.disable,
        time && Math.round(time.failedForMs),
        time?.failedAt ?? null,
        time?.nextTryAt ?? null,
      ],
    })
    if (decided.disable !== null)
      disabled.push({ webhookId, reason: decided.disable, ...whyDisabled(own, summed) })
    if (!health.failingSince || !summed.isDelivered) continue
    wellAgain.push(webhookId)
    if (now.getTime() - health.failingSince.getTime() > recoveredAfterMs) recovered.push(webhookId)
  }
  return { disabled, recovered, wellAgain, failing }
}

function isFailingLong(own: readonly WebhookNews[], since: Date | null, now: Date): boolean {
  return (
    since !== null &&
    now.getTime() - since.getTime() >= failingAfterMs &&
    own.some(one => one.isFailing && !one.isOfAlert)
  )
}

function whyDisabled(own: readonly WebhookNews[], { gone }: News): Pick<Disabled, 'code' | 'isOfAlert'> {
  const causes = own.filter(one => (gone === null ? one.isFailing : one.gone !== null))
  return { code: gone === null ? 'failed_too_long' : 'gone', isOfAlert: causes.every(one => one.isOfAlert) }
}

/** For how long a webhook has failed, with these news; null where it does not. */
function failingTimeOf(
  news: readonly WebhookNews[],
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

function sum(news: readonly News[]): News {
  return {
    isDelivered: news.some(one => one.isDelivered),
    isFailing: news.some(one => one.isFailing),
    isExhausted: news.some(one => one.isExhausted),
    holdMs: Math.max(...news.map(one => one.holdMs)),
    gone: news.find(one => one.gone !== null)?.gone ?? null,
  }
}
