import type { Outbox } from '../database/database.ts'

/** The settings of webhooks that depend on walhook's configuration and mapping. */
export type SettingsInUse = {
  /** The number of active webhooks with addresses for alerts. */
  readonly withRecipients: number
  /** The number of active webhooks of tenants. */
  readonly ofTenants: number
  /** Each trigger of an active webhook, with the number of webhooks and the lowest id. */
  readonly triggers: readonly {
    readonly trigger: string
    readonly webhooks: number
    readonly first: number
  }[]
}

export async function settingsInUse({ pool }: Pick<Outbox, 'pool'>): Promise<SettingsInUse> {
  const { rows } = await pool.query(`
    select count(*) filter (where alert_to <> '{}')::int as with_recipients,
           count(*) filter (where tenant is not null)::int as of_tenants,
           (select coalesce(json_agg(t order by t.trigger), '[]') from (
              select trigger, count(*)::int as webhooks, min(id) as first
              from walhook.webhooks cross join unnest(triggers) trigger where is_active group by trigger
            ) t) as triggers
    from walhook.webhooks where is_active`)
  const { with_recipients: withRecipients, of_tenants: ofTenants, triggers } = rows[0]
  return { withRecipients, ofTenants, triggers }
}

/** The sums over cells. */
export function together(all: readonly SettingsInUse[]): SettingsInUse {
  const triggers = Map.groupBy(
    all.flatMap(({ triggers }) => triggers),
    ({ trigger }) => trigger,
  )
  return {
    withRecipients: sum(all.map(({ withRecipients }) => withRecipients)),
    ofTenants: sum(all.map(({ ofTenants }) => ofTenants)),
    triggers: [...triggers.keys()].sort().map(trigger => {
      const each = triggers.get(trigger)!
      return {
        trigger,
        webhooks: sum(each.map(({ webhooks }) => webhooks)),
        first: Math.min(...each.map(({ first }) => first)),
      }
    }),
  }
}

const sum = (counts: readonly number[]) => counts.reduce((all, one) => all + one, 0)
