import type { Outbox } from '../database/database.ts'

/** How many webhooks are in each state; each is in one. */
export type WebhookCounts = {
  readonly active: number
  /** Active, and nothing was delivered since a request failed. */
  readonly failing: number
  /** walhook has stopped sending to them. */
  readonly disabled: number
  /** An admin has. */
  readonly inactive: number
}

/** One pass over the table of webhooks. */
export async function countWebhooks(outbox: Outbox): Promise<WebhookCounts> {
  const { rows } = await outbox.pool.query<WebhookCounts>(`
    select count(*) filter (where is_active and disabled_at is null and failing_since is null)::int as active,
           count(*) filter (where is_active and disabled_at is null and failing_since is not null)::int as failing,
           count(*) filter (where disabled_at is not null)::int as disabled,
           count(*) filter (where not is_active and disabled_at is null)::int as inactive
    from walhook.webhooks`)
  return rows[0]!
}
