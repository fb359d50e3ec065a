import type pg from 'pg'
import { bodyAsNew, type StoredEvent } from '../../domain/event/event.ts'

/** The entities whose last event, `among` those that count, is equal to the one of these events, as a `new` or not. */
export async function sentAlready(
  client: pg.PoolClient,
  entityType: string,
  events: readonly StoredEvent[],
  which: { name: string; among?: string; and?: string },
  more: readonly unknown[] = [],
): Promise<ReadonlySet<string>> {
  const { name, among = 'true', and = 'true' } = which
  const { rows } = await client.query({
    name,
    text: `
      select k.entity_id
      from unnest($2::text[], $3::text[], $4::text[]) as k (entity_id, as_update, as_new)
      cross join lateral (
        select e.body, e.action_type, e.changed from walhook.events e
        where e.entity_id = k.entity_id and e.entity_type = $1 and ${among}
        order by e.id desc limit 1
      ) last
      where last.body in (k.as_update, k.as_new) and ${and}`,
    values: [
      entityType,
      events.map(({ entityId }) => entityId),
      events.map(({ body }) => body),
      events.map(({ body }) => bodyAsNew(body)),
      ...more,
    ],
  })
  return new Set(rows.map(row => row.entity_id))
}
