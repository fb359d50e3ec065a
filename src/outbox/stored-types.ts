import type { Outbox } from './database.ts'

/** Whether an event of this type is stored, of an entity that the mapping may have had once. */
export async function isStoredType({ pool }: Pick<Outbox, 'pool'>, entityType: string): Promise<boolean> {
  const { rows } = await pool.query(
    'select exists (select from walhook.events where entity_type = $1) as is_stored',
    [entityType],
  )
  return rows[0].is_stored
}
