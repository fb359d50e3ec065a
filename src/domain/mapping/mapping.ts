import type { BackfillAction } from '../event/event.ts'
import type { Labels } from '../event/label.ts'
import type { Format } from '../value/format.ts'
import { type ColumnKind, type Suspicion, suspect } from './credentials.ts'
import { columnsOfKey, type KeyColumns } from './entity-key.ts'
import { type Conditions, filterColumns, type RowFilter } from './row-filter.ts'

/** A table by its exact names in the catalogue. */
export type TableName = { readonly schema: string; readonly name: string }

/** The columns of a row that become fields, and their names. */
export type FieldRules = {
  /** Only these columns, in this order; null: every column, in the table's order. */
  readonly include: readonly string[] | null
  readonly omit: readonly string[]
  /** Column name → field name. */
  readonly rename: Readonly<Record<string, string>>
  /** Column name → format of its values; other columns follow their type. */
  readonly format?: Readonly<Record<string, Format>>
  /** Field → a constant value for every entity of the type, as JSON. */
  readonly fixed?: Readonly<Record<string, string>>
  /** If new columns are ignored: the first columns of the mapping. Absent: new columns are checked like all others. */
  readonly known?: ReadonlySet<string>
}

/**
 * A field from another table, made of the rows whose `owner` is the entity's key: a list with one item per row (`plain`: one
 * column's value, otherwise an object of the columns), or, with a `key`, one object.
 */
export type RelatedList = {
  readonly field: string
  readonly table: TableName
  /** The columns that contain the entity's key, in its order; behind hops, the column that the last hop's `to` refers to. */
  readonly owner: KeyColumns
  /** The hops from the entity to this table, at most three; absent: its rows contain the entity's key. */
  readonly through?: readonly Hop[]
  /** The field is the first row instead of a list; null if there is none. */
  readonly one?: boolean
  readonly columns: readonly string[]
  readonly plain: boolean
  /** The column with the object's field names; the values are from the one column. */
  readonly key?: string
  /** With a `key`: only these names; absent: all except those that look like credentials. */
  readonly names?: readonly string[]
  /** With a `key`: every name has a list of its values, instead of the last one. */
  readonly repeats?: boolean
  /** The columns that order the rows before their primary key; absent: none. */
  readonly order?: readonly RowOrder[]
  /** The conditions for a row to be shown; absent: none. */
  readonly where?: Conditions
  /** Whether a list of single values keeps nulls. */
  readonly keepsNulls?: boolean
  /** Column name → field name in the objects. */
  readonly rename?: Readonly<Record<string, string>>
  readonly format?: Readonly<Record<string, Format>>
}

/** A table on the path from an entity to the shown rows of a related field. */
export type Hop = {
  readonly table: TableName
  /** The columns that contain the entity's key; after another hop, the column that its `to` refers to. */
  readonly owner: KeyColumns
  /** The column that refers to rows of the next table. */
  readonly to: string
  /** The conditions for a row to lead on; absent: none. */
  readonly where?: Conditions
  /** The columns that order the shown rows first. */
  readonly order?: readonly RowOrder[]
}

export type RowOrder = { readonly column: string; readonly descends: boolean }

export type EntityMapping = {
  readonly entityType: string
  readonly table: TableName
  /** The columns of the entity's key. */
  readonly key: KeyColumns
  readonly fields: FieldRules
  readonly related: readonly RelatedList[]
  /** The rows that are sent; absent: all. */
  readonly rows?: RowFilter
  /** The columns whose last values a `delete` contains; absent: none. */
  readonly last?: 'all' | readonly string[]
  /** The column with the entity's tenant; absent: no tenant. */
  readonly tenant?: string
  /** The fields of the entity's label on the pages; absent: none. */
  readonly label?: readonly string[]
  /** Whether an UPDATE without any change to sent fields is still an event. */
  readonly sendsUnchanged: boolean
  /** The default action of a backfill; absent: `new`. */
  readonly backfillAs?: BackfillAction
  /** Whether new columns are only sent if the mapping names them. */
  readonly ignoresNewColumns?: boolean
  /** Whether a TRUNCATE deletes every entity known from events; otherwise it is only reported. */
  readonly deletesOnTruncate?: boolean
}

export function backfillAs(mapping: readonly EntityMapping[]): (entityType: string) => BackfillAction {
  return entityType => mapping.find(entity => entity.entityType === entityType)?.backfillAs ?? 'new'
}

export function tenantTypes(mapping: readonly EntityMapping[]): string[] {
  return mapping.filter(({ tenant }) => tenant !== undefined).map(({ entityType }) => entityType)
}

/** The label fields of each entity type. */
export function labels(mapping: readonly EntityMapping[]): Labels {
  return new Map(mapping.flatMap(({ entityType, label }) => (label ? [[entityType, label] as const] : [])))
}

const everyField: FieldRules = { include: null, omit: [], rename: {} }

/** The mapping without a file: users and companies of the schema `public`. */
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

export type ChoosableColumn = { readonly name: string; readonly kind: ColumnKind }

export type FieldChoice = {
  /** Column → field name, in the order of the fields. */
  readonly fields: ReadonlyMap<string, string>
  /** Columns that are withheld although the mapping does not omit them. */
  readonly withheld: readonly { readonly column: string; readonly why: Withheld }[]
}

/** Why a column that the mapping does not name is withheld. */
type Withheld =
  | Suspicion
  | 'it came later, and the mapping ignores new columns'
  | 'the mapping has a field of this name'

/** The rule for a column, which may be named `constructor`. */
export function ruleOf<T>(rules: Readonly<Record<string, T>> | undefined, column: string): T | undefined {
  return rules && Object.hasOwn(rules, column) ? rules[column] : undefined
}

/** The columns that rules name, which are sent whatever their names. */
function namedColumns({ include, rename, format }: FieldRules): ReadonlySet<string> {
  return new Set([...(include ?? []), ...Object.keys(rename), ...Object.keys(format ?? {})])
}

/** The parts of a mapping that choose an entity's fields. */
type Choosing = Pick<EntityMapping, 'fields' | 'related' | 'key' | 'last'>

/** The field names that the mapping defines: a column of the same name is something else. */
function givenNames({ fields, related }: Choosing): ReadonlySet<string> {
  const renamed = Object.keys(fields.rename).filter(column => maySend(fields, column))
  return new Set([
    ...renamed.map(column => fields.rename[column]!),
    ...Object.keys(fields.fixed ?? {}),
    ...related.map(({ field }) => field),
  ])
}

/**
 * Chooses the fields of a table with these columns. A column that `include`, `rename` or `format` names is never withheld. A
 * column of the key or of `last` is refused if its name is another field's.
 */
export function chooseFields(entity: Choosing, columns: readonly ChoosableColumn[]): FieldChoice {
  const { fields: rules, key, last } = entity
  const present = new Map(columns.map(column => [column.name, column]))
  const wanted = rules.include ? rules.include.flatMap(name => present.get(name) ?? []) : columns
  const named = namedColumns(rules)
  const needed = new Set([...columnsOfKey(key), ...(Array.isArray(last) ? last : [])])
  const given = givenNames(entity)
  const fields = new Map<string, string>()
  const withheld: { column: string; why: Withheld }[] = []
  for (const column of wanted) {
    const { name } = column
    if (rules.omit.includes(name)) continue
    const isTaken = given.has(name) && !needed.has(name)
    const why = named.has(name)
      ? null
      : (whyWithheld(rules, column) ?? (isTaken ? 'the mapping has a field of this name' : null))
    if (why === null) fields.set(name, ruleOf(rules.rename, name) ?? name)
    else withheld.push({ column: name, why })
  }
  return { fields, withheld }
}

function whyWithheld({ known }: FieldRules, column: ChoosableColumn): Withheld | null {
  if (known && !known.has(column.name)) return 'it came later, and the mapping ignores new columns'
  return suspect(column)
}

/** Whether the mapping may send a column of this name: all others are not read. */
function maySend({ include, omit }: FieldRules, column: string): boolean {
  return !omit.includes(column) && (include === null || include.includes(column))
}

/** Whether a column of an entity's rows is read: it may be sent, is in the key, or decides who is sent a row. */
export function isRead(entity: EntityMapping, column: string): boolean {
  const { fields, key } = entity
  return (
    columnsOfKey(key).includes(column) || maySend(fields, column) || decidingColumns(entity).includes(column)
  )
}

/** The columns that decide whether a row is sent, and to whom. */
export function decidingColumns({ rows, tenant }: Pick<EntityMapping, 'rows' | 'tenant'>): readonly string[] {
  return [...filterColumns(rows), ...(tenant === undefined ? [] : [tenant])]
}

/** Whether an object's field with a name from a row is sent: without names in the mapping, it is checked like a column. */
export function sendsName({ names }: RelatedList, name: string, kind: ColumnKind): boolean {
  return names ? names.includes(name) : suspect({ name, kind }) === null
}

/** Whether a related field is a list of single values without nulls. */
export function listsValues({
  plain,
  key,
  repeats,
  one,
}: Pick<RelatedList, 'plain' | 'key' | 'repeats' | 'one'>): boolean {
  return plain && !one && (key === undefined || repeats === true)
}

/** The filter of a related field's rows; undefined: all rows of the owner. */
export function shownRows(list: RelatedList): RowFilter | undefined {
  const where: Conditions =
    listsValues(list) && !list.keepsNulls
      ? [...(list.where ?? []), { column: list.columns[0]!, tests: [notNull] }]
      : (list.where ?? [])
  return where.length === 0 ? undefined : { where, deletedWhen: [] }
}

const notNull = { kind: 'in', values: [null], not: true } as const

/** Every table that must be in the publication, each once: of entities and of related fields. */
export function publishedTables(mapping: readonly EntityMapping[]): TableName[] {
  const tables = new Map<string, TableName>()
  for (const entity of mapping)
    for (const table of [entity.table, ...entity.related.flatMap(tablesOf)])
      tables.set(tableKey(table), table)
  return [...tables.values()]
}

/** The tables of a related field's path, from the entity to the shown rows. */
function tablesOf({ through = [], table }: RelatedList): TableName[] {
  return [...through.map(hop => hop.table), table]
}

/** A table's name as a map key and in SQL: both parts quoted. */
export function tableKey(table: TableName): string {
  return `${quoteIdentifier(table.schema)}.${quoteIdentifier(table.name)}`
}

/** Quotes a name for SQL. https://www.postgresql.org/docs/current/sql-syntax-lexical.html */
export function quoteIdentifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}
