import type { Outbox } from '../database/database.ts'

/** The entity and table of the columns. A table is named as in SQL. */
type TableOfEntity = { readonly slotName: string; readonly entityType: string; readonly table: string }

/** The known columns of a table, or null: never looked at. */
export async function readKnownColumns(
  { pool }: Pick<Outbox, 'pool'>,
  { slotName, entityType, table }: TableOfEntity,
): Promise<ReadonlySet<string> | null> {
  const { rows } = await pool.query(
    `select columns from walhook.known_columns where slot_name = $1 and entity_type = $2 and table_name = $3`,
    [slotName, entityType, table],
  )
  return rows[0] ? new Set(rows[0].columns) : null
}

/** Adds known columns. Two simultaneous processes merge theirs. */
export async function addKnownColumns(
  { pool }: Pick<Outbox, 'pool'>,
  { slotName, entityType, table }: TableOfEntity,
  columns: readonly string[],
): Promise<void> {
  await pool.query(
    `insert into walhook.known_columns as k (slot_name, entity_type, table_name, columns) values ($1, $2, $3, $4)
     on conflict (slot_name, entity_type, table_name) do update
       set columns = (select array_agg(distinct name) from unnest(k.columns || excluded.columns) as name)`,
    [slotName, entityType, table, columns],
  )
}

/** Whether this outbox records columns: not before its migration. */
export async function knowsColumns({ pool }: Pick<Outbox, 'pool'>): Promise<boolean> {
  const { rows } = await pool.query(`select to_regclass('walhook.known_columns') is not null as is_there`)
  return rows[0].is_there
}
