import type { ShownState, WebhookStates } from '../../domain/shown/webhook-states.ts'
import type { Outbox } from '../database/database.ts'

/** The number of webhooks by state; each is in one. */
export type WebhookCounts = {
  readonly active: number
  /** Active, without a success since a failure. */
  readonly failing: number
  /** Disabled by walhook. */
  readonly disabled: number
  /** Switched off by an admin. */
  readonly inactive: number
}

/** One scan of the table. */
export async function countWebhooks(outbox: Outbox): Promise<WebhookCounts> {
  const { rows } = await outbox.pool.query<WebhookCounts>(`
    select count(*) filter (where is_active and disabled_at is null and failing_since is null)::int as active,
           count(*) filter (where is_active and disabled_at is null and failing_since is not null)::int as failing,
           count(*) filter (where disabled_at is not null)::int as disabled,
           count(*) filter (where not is_active and disabled_at is null)::int as inactive
    from walhook.webhooks`)
  return rows[0]!
}

/** A webhook's state in lists. */
export const shownState = `case
  when not is_active then 'inactive'
  when disabled_at is not null then 'disabled'
  when failing_since is not null then 'failing'
  else 'active' end`

/** The webhook states of a tenant, or of all (null). */
export async function readWebhookStates(outbox: Outbox, tenant: string | null): Promise<WebhookStates> {
  const of = tenant === null ? '' : 'where tenant = $1'
  const values = tenant === null ? [] : [tenant]
  const [counted, unwell] = await Promise.all([
    outbox.pool.query(
      `select ${shownState} as state, count(*)::int as count from walhook.webhooks ${of} group by 1`,
      values,
    ),
    outbox.pool.query(
      `select id, name, state
       from (select id, name, failing_since, ${shownState} as state from walhook.webhooks ${of}) w
       where state in ('disabled', 'failing') order by state, failing_since, id limit 10`,
      values,
    ),
  ])
  const counts = { inactive: 0, disabled: 0, failing: 0, active: 0 }
  for (const { state, count } of counted.rows) counts[state as ShownState] = count
  return { counts, unwell: unwell.rows }
}
