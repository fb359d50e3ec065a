import type { Wantable } from '../../domain/event/wanted.ts'
import type { Outbox } from '../database/database.ts'
import { fields } from '../database/fields.ts'
import { wantedColumns } from '../log/wanted.ts'

const maxScanned = 1_000
const maxBytes = 8_000_000

/** The newest `max` events with one of the triggers, newest first, of the log's or a tenant's newest. */
export async function recentEvents(
  outbox: Pick<Outbox, 'pool'>,
  { triggers, max, tenant }: { triggers: readonly string[]; max: number; tenant: string | null },
): Promise<Wantable[]> {
  const { rows } = await outbox.pool.query(
    `select entity_type, action_type, body, previous, changed, omitted, tenant, tenant_before
     from (
       select *, sum(octet_length(body) + coalesce(octet_length(previous), 0)) over (order by id desc) as bytes
       from (
         select ${wantedColumns} from (
           select * from walhook.events ${tenant === null ? '' : 'where tenant = $5'} order by id desc limit $3
         ) newest
         where entity_type || '.' || ${tenant === null ? 'action_type' : `case when tenant_before is null then action_type else 'new' end`} = any ($1)
           and only_webhook_id is null
         order by id desc limit $2
       ) e
     ) e
     where bytes <= $4
     order by id desc`,
    [triggers, max, maxScanned, maxBytes, ...(tenant === null ? [] : [tenant])],
  )
  return rows.map(row => ({ ...fields<Wantable>(row), webhooksVersion: 0, onlyWebhookId: null }))
}
