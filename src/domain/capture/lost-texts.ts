/** An object of the mapping that the source has dropped. */
type Lost<Names extends string> = Readonly<Record<Names, string>>

/** In English, as status and log have them. Other languages read code and facts back (`readerOf`). */
export const lostTexts = {
  table: ({ entity, table }: Lost<'entity' | 'table'>) => `entity ${entity}: table ${table} was dropped`,
  'related.table': ({ entity, field, table }: Lost<'entity' | 'field' | 'table'>) =>
    `entity ${entity}, related ${field}: table ${table} was dropped`,
  'related.column': ({ entity, field, column, table }: Lost<'entity' | 'field' | 'column' | 'table'>) =>
    `entity ${entity}, related ${field}: column ${column} of ${table} was dropped`,
  'related.item': ({ entity, field, columns }: Lost<'entity' | 'field' | 'columns'>) =>
    `entity ${entity}, related ${field}: it has no ${columns} any more`,
}

/** One sentence per code. */
export type LostTexts = typeof lostTexts
