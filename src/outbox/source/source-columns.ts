import type { KnownColumn } from '../../domain/capture/known-columns.ts'
import type { Outbox } from '../database/database.ts'

const undefinedTable = '42P01'

/** The known columns of a slot's tables; none in an older outbox. */
export async function knownColumns(outbox: Outbox, slotName: string): Promise<KnownColumn[]> {
  try {
    const { rows } = await outbox.pool.query(
      `select table_oid, attnum, column_name, table_schema, table_name, is_omitted
       from walhook.source_columns where slot_name = $1 order by table_oid, attnum, column_name`,
      [slotName],
    )
    return rows.map(row => ({
      tableOid: Number(row.table_oid),
      table: { schema: row.table_schema, name: row.table_name },
      name: row.column_name,
      attnum: row.attnum,
      isOmitted: row.is_omitted,
    }))
  } catch (error) {
    if ((error as { code?: string }).code === undefinedTable) return []
    throw error
  }
}

/** Adds known columns of a slot, if any is new. Returns all. */
export async function noteColumns(
  outbox: Outbox,
  slotName: string,
  columns: readonly KnownColumn[],
): Promise<KnownColumn[]> {
  await outbox.pool.query(
    `insert into walhook.source_columns as known
       (slot_name, table_oid, attnum, column_name, table_schema, table_name, is_omitted)
     select $1, c.* from unnest($2::bigint[], $3::int[], $4::text[], $5::text[], $6::text[], $7::bool[]) as c
     on conflict (slot_name, table_oid, attnum, column_name) do update
     set table_schema = excluded.table_schema, table_name = excluded.table_name,
         is_omitted = known.is_omitted or excluded.is_omitted
     where (known.table_schema, known.table_name) <> (excluded.table_schema, excluded.table_name)
       or excluded.is_omitted > known.is_omitted`,
    [
      slotName,
      columns.map(column => column.tableOid),
      columns.map(column => column.attnum),
      columns.map(column => column.name),
      columns.map(column => column.table.schema),
      columns.map(column => column.table.name),
      columns.map(column => column.isOmitted),
    ],
  )
  return await knownColumns(outbox, slotName)
}
