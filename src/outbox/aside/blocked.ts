import type { Outbox } from '../database/database.ts'
import { fields } from '../database/fields.ts'
import { ofRowEntity, type RowEntity, webhooksOf } from '../database/row-keys.ts'
import { rows, statement } from '../database/statement.ts'
import { dueInMs } from './aside.ts'

const blockedStatement = statement(
  'blocked_entities',
  {
    asked: rows<RowEntity & { readonly index: number }>({ ...ofRowEntity, index: 'int' }),
    webhookIds: 'int[]',
  },
  p => `
select array(
         select s.index from ${p.asked('s')}
         where exists (
           select 1 from walhook.deliveries d
           where d.webhook_id = s.webhook_id and d.entity_type = s.entity_type and d.entity_id = s.entity_id offset 0
         )
       ) as indexes,
       array(
         select w.id from unnest(${p.webhookIds}) as w (id)
         where not exists (select 1 from walhook.deliveries d where d.webhook_id = w.id offset 0)
       ) as without`,
)

/** The entities with rows, which newer events must join; and the webhooks `without` any row. */
export async function blockedEntities(
  outbox: Outbox,
  input: {
    readonly webhookIds: readonly number[]
    readonly entityTypes: readonly string[]
    readonly entityIds: readonly string[]
  },
): Promise<{ readonly blocked: readonly boolean[]; readonly without: readonly number[] }> {
  const { webhookIds, entityTypes, entityIds } = input
  const asked = webhookIds.map((webhookId, index) => ({
    webhookId,
    entityType: entityTypes[index]!,
    entityId: entityIds[index]!,
    index,
  }))
  if (asked.length === 0) return { blocked: [], without: [] }
  const { rows } = await blockedStatement(outbox.pool, { asked, webhookIds: [...new Set(webhookIds)] })
  const blocked = new Set<number>(rows[0].indexes)
  return { blocked: asked.map(({ index }) => blocked.has(index)), without: rows[0].without }
}

/** The webhooks with rows, and the earliest of each share. Only takeable rows count. */
const webhooksWithAsideStatement = statement(
  'webhooks_with_aside',
  { shares: 'smallint[]' },
  p => `
with ${webhooksOf('deliveries')}
select w.webhook_id, ${dueInMs('due.at', 'clock_timestamp()')} as due_in_ms
from w cross join lateral (
  select least(min(d.due_at), min(b.due_at)) as at
  from unnest(${p.shares}) as s (share)
  left join lateral (
    select due_at from walhook.deliveries
    where webhook_id = w.webhook_id and share = s.share and taken_by is null and due_at < 'infinity'
    order by due_at limit 1
  ) d on true
  left join lateral (
    select due_at from walhook.batches
    where share = s.share and webhook_id = w.webhook_id and taken_by is null
    order by due_at limit 1
  ) b on true
) due`,
)

/** The webhooks with rows or batches, and the ms until the first in these shares is due; null: none. */
export async function webhooksWithAside(
  outbox: Outbox,
  shares: readonly number[],
): Promise<{ webhookId: number; dueInMs: number | null }[]> {
  const { rows } = await webhooksWithAsideStatement(outbox.pool, { shares })
  return rows.map(fields<{ webhookId: number; dueInMs: number | null }>)
}
