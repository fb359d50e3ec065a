type Facts<Names extends string> = Readonly<Record<Names, string>>

/** In English, as the API and `walhook check` have them. */
export const lostTexts = {
  table: ({ entity, table }: Facts<'entity' | 'table'>) => `entity ${entity}: table ${table} was dropped`,
  'related.table': ({ entity, field, table }: Facts<'entity' | 'field' | 'table'>) =>
    `entity ${entity}, related ${field}: table ${table} was dropped`,
  'related.column': ({ entity, field, column, table }: Facts<'entity' | 'field' | 'column' | 'table'>) =>
    `entity ${entity}, related ${field}: column ${column} of ${table} was dropped`,
  'related.item': ({ entity, field, columns }: Facts<'entity' | 'field' | 'columns'>) =>
    `entity ${entity}, related ${field}: it has no ${columns} any more`,
}

/** One sentence per code. */
export type LostTexts = typeof lostTexts

/** An object of the mapping that the source has dropped. */
export type Lost = {
  [Code in keyof LostTexts]: { readonly code: Code; readonly facts: Parameters<LostTexts[Code]>[0] }
}[keyof LostTexts]

export const lostSentence = ({ code, facts }: Lost, texts: LostTexts = lostTexts): string =>
  (texts[code] as (facts: object) => string)(facts)
