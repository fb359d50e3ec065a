import type { Client } from 'pg'

/** Every event in the outbox in its order, as `user 7 update`, with a field of its result where one is named. */
export async function readEvents(client: Client, field?: string): Promise<string[]> {
  const { rows } = await client.query('select body from walhook.events order by id')
  return rows.map(({ body }) => {
    const { entity_type, entity_id, action_type, result } = JSON.parse(body)
    const value = field === undefined || result === undefined ? '' : ` ${result[field]}`
    return `${entity_type} ${entity_id} ${action_type}${value}`
  })
}

/** Waits for nothing: how many deliveries and lanes the queue holds now. */
export async function readQueue(client: Client): Promise<{ deliveries: number; lanes: number }> {
  const { rows } = await client.query(
    `select (select count(*)::int from walhook.deliveries) as deliveries, (select count(*)::int from walhook.lanes) as lanes`,
  )
  return rows[0]
}
