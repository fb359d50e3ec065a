import type { Client, Pool } from 'pg'
import type { Outbox } from '../../src/outbox/database/database.ts'
import { listAttempts } from '../../src/outbox/reading/attempts.ts'
import { readCounts } from '../../src/outbox/reading/queue-depth.ts'

/** Every event in the outbox in its order, as `user 7 update`, with a field of its result where one is named. */
export async function readEvents(client: Client, field?: string): Promise<string[]> {
  const { rows } = await client.query('select body from walhook.events order by id')
  return rows.map(({ body }) => {
    const { entity_type, entity_id, action_type, result } = JSON.parse(body)
    const value = field === undefined || result === undefined ? '' : ` ${result[field]}`
    return `${entity_type} ${entity_id} ${action_type}${value}`
  })
}

/** Waits for nothing: how many deliveries wait now or are in flight, in rows and in the log, over all webhooks. */
export async function readQueue(client: Client): Promise<{ deliveries: number; setAside: number }> {
  const { rows: webhooks } = await client.query('select id from walhook.webhooks')
  const counts = await readCounts(
    client,
    webhooks.map(({ id }) => id),
    { max: 1_000_000, maxScanned: 1_000_000 },
  )
  const setAside = counts.reduce((sum, { rows }) => sum + rows, 0)
  return { deliveries: counts.reduce((sum, { inLog }) => sum + inLog, setAside), setAside }
}

/** The newest event of the log that is committed; 0 where there has been none. */
export async function headOfLog({ pool }: { pool: Pool }): Promise<bigint> {
  const { rows } = await pool.query('select coalesce(max(last_event_id), 0) as head from walhook.positions')
  return rows[0].head
}

/** A page of a webhook's attempts, of any size. */
export const attemptsOf = async (outbox: Outbox, page: Parameters<typeof listAttempts>[1]) =>
  (await listAttempts(outbox, page, Number.POSITIVE_INFINITY)).items
