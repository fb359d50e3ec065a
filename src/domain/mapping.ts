import type { BackfillAction } from './backfill.ts'
import type { Format } from './format.ts'

/** A table by its exact names, as the catalogue has them. */
export type TableName = { readonly schema: string; readonly name: string }

/** Which columns of a row become fields, and under which names. */
export type FieldRules = {
  /** Only these columns, in this order; null for every column of the table in its own order. */
  readonly include: readonly string[] | null
  readonly omit: readonly string[]
  /** Column name → field name. */
  readonly rename: Readonly<Record<string, string>>
  /** Column name → how its values are written; every other column as its type is. */
  readonly format?: Readonly<Record<string, Format>>
}

/**
 * A field whose value comes from another table, from the rows whose `owner` is the entity's key: a list with an item
 * for each row (`plain`: one column's value, else an object of the columns), or, with a `key`, one object.
 */
export type RelatedList = {
  readonly field: string
  readonly table: TableName
  readonly owner: string
  readonly columns: readonly string[]
  readonly plain: boolean
  /** The column that names the fields of the one object, whose values are those of the one column. */
  readonly key?: string
  /** Column name → the name of its field in the objects. */
  readonly rename?: Readonly<Record<string, string>>
  readonly format?: Readonly<Record<string, Format>>
}

export type EntityMapping = {
  readonly entityType: string
  readonly table: TableName
  readonly key: string
  readonly fields: FieldRules
  readonly related: readonly RelatedList[]
  /** Whether an UPDATE that is known to have changed nothing that is sent is an event all the same. */
  readonly sendsUnchanged: boolean
  /** What a backfill tells its rows as, where nobody says otherwise; `new` where it is absent. */
  readonly backfillAs?: BackfillAction
  /** Whether a TRUNCATE is a delete of every entity that is known by its events; else it is only reported. */
  readonly deletesOnTruncate?: boolean
}

/** What a backfill of an entity type tells its rows as, by the mapping. */
export function backfillAs(mapping: readonly EntityMapping[]): (entityType: string) => BackfillAction {
  return entityType => mapping.find(entity => entity.entityType === entityType)?.backfillAs ?? 'new'
}

const everyField: FieldRules = { include: null, omit: [], rename: {} }

/** What is captured when no mapping file is given: users and companies of the schema `public`. */
export const defaultMapping: readonly EntityMapping[] = [
  {
    entityType: 'user',
    table: { schema: 'public', name: 'users' },
    key: 'id',
    fields: everyField,
    related: [],
    sendsUnchanged: false,
  },
  {
    entityType: 'company',
    table: { schema: 'public', name: 'companies' },
    key: 'id',
    fields: everyField,
    related: [],
    sendsUnchanged: false,
  },
]

const credential =
  /(^|_)(passwords?|passwd|pwd|passphrase|secrets?|tokens?|api_?keys?|private_?keys?|otp|totp|salt|pin|password_?(hash|digest)|mfa|credentials?)(_|$)/i

/** Tells a column that looks like a credential by its name: left out unless a mapping names it. */
export function looksLikeCredential(column: string): boolean {
  return credential.test(column.replace(/([a-z])([A-Z])/g, '$1_$2'))
}

export type FieldChoice = {
  /** Column → field name, in the order of the fields. */
  readonly fields: ReadonlyMap<string, string>
  /** Columns left out only because they look like credentials. */
  readonly withheld: readonly string[]
}

/** What a rule says of a column, which may be named `constructor`. */
export function ruleOf<T>(rules: Readonly<Record<string, T>> | undefined, column: string): T | undefined {
  return rules && Object.hasOwn(rules, column) ? rules[column] : undefined
}

/**
 * Chooses the fields of a table with these columns. A column that `include`, `rename` or `format` names is never
 * withheld.
 */
export function chooseFields(rules: FieldRules, columns: readonly string[]): FieldChoice {
  const wanted = rules.include ? rules.include.filter(column => columns.includes(column)) : columns
  const named = new Set([
    ...(rules.include ?? []),
    ...Object.keys(rules.rename),
    ...Object.keys(rules.format ?? {}),
  ])
  const fields = new Map<string, string>()
  const withheld: string[] = []
  for (const column of wanted) {
    if (rules.omit.includes(column)) continue
    if (!named.has(column) && looksLikeCredential(column)) withheld.push(column)
    else fields.set(column, ruleOf(rules.rename, column) ?? column)
  }
  return { fields, withheld }
}

/** Every table that must be in the publication, each once: the entities' own and those of related values. */
export function publishedTables(mapping: readonly EntityMapping[]): TableName[] {
  const tables = new Map<string, TableName>()
  for (const entity of mapping)
    for (const table of [entity.table, ...entity.related.map(related => related.table)])
      tables.set(tableKey(table), table)
  return [...tables.values()]
}

/** A table's name as a map key and as SQL: both parts quoted. */
export function tableKey(table: TableName): string {
  return `${quoteIdentifier(table.schema)}.${quoteIdentifier(table.name)}`
}

/** Quotes a name for SQL. https://www.postgresql.org/docs/current/sql-syntax-lexical.html */
export function quoteIdentifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}
