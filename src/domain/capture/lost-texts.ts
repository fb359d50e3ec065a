/** The facts of each object of the mapping that the source has dropped. */
export type LostFacts = {
  table: { readonly entity: string; readonly table: string }
  'related.table': { readonly entity: string; readonly field: string; readonly table: string }
  'related.column': {
    readonly entity: string
    readonly field: string
    readonly column: string
    readonly table: string
  }
  'related.item': { readonly entity: string; readonly field: string; readonly columns: string }
}

/** One sentence per code. */
export type LostTexts = { readonly [Code in keyof LostFacts]: (facts: LostFacts[Code]) => string }

/** In English, as status and log have them. Other languages read code and facts back (`readBack`). */
export const lostTexts: LostTexts = {
  table: ({ entity, table }) => `entity ${entity}: table ${table} was dropped`,
  'related.table': ({ entity, field, table }) =>
    `entity ${entity}, related ${field}: table ${table} was dropped`,
  'related.column': ({ entity, field, column, table }) =>
    `entity ${entity}, related ${field}: column ${column} of ${table} was dropped`,
  'related.item': ({ entity, field, columns }) =>
    `entity ${entity}, related ${field}: it has no ${columns} any more`,
}
