import type { BackfillAction } from '../event/event.ts'
import type { Labels } from '../event/label.ts'
import type { Format } from '../value/format.ts'
import { type ColumnKind, type Suspicion, suspect } from './credentials.ts'
import { columnsOfKey, type KeyColumns } from './entity-key.ts'
import { type Conditions, filterColumns, type RowFilter } from './row-filter.ts'

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
  /** Field → a value that every entity of the type has, as JSON. */
  readonly fixed?: Readonly<Record<string, string>>
  /** Of a mapping that ignores new columns: those that it began with. Absent: new ones are judged like all others. */
  readonly known?: ReadonlySet<string>
}

/**
 * A field whose value comes from another table, from the rows whose `owner` is the entity's key: a list with an item
 * for each row (`plain`: one column's value, else an object of the columns), or, with a `key`, one object.
 */
export type RelatedList = {
  readonly field: string
  readonly table: TableName
  /**
   * The column that holds the entity's key (of a key of several columns those that hold it, in the same order), or, behind hops, the
   * value that the last one's `to` has.
   */
  readonly owner: KeyColumns
  /** The tables that lead from the entity to this one, at most three; absent: its rows hold the entity's key. */
  readonly through?: readonly Hop[]
  /** The field is the first row instead of a list of all; null where there is none. */
  readonly one?: boolean
  readonly columns: readonly string[]
  readonly plain: boolean
  /** The column that names the fields of the one object, whose values are those of the one column. */
  readonly key?: string
  /** With a `key`: only these names; absent: every one but those that look like credentials. */
  readonly names?: readonly string[]
  /** With a `key`: every name has a list of its values, in place of the last one. */
  readonly repeats?: boolean
  /** By which columns the rows are ordered before their primary key; absent: by that alone. */
  readonly order?: readonly RowOrder[]
  /** What a row must hold to be shown; absent: nothing. */
  readonly where?: Conditions
  /** Whether a list of single values has an item for a row whose value is null. */
  readonly keepsNulls?: boolean
  /** Column name → the name of its field in the objects. */
  readonly rename?: Readonly<Record<string, string>>
  readonly format?: Readonly<Record<string, Format>>
}

/** A table on the way from an entity to the rows that a related field shows. */
export type Hop = {
  readonly table: TableName
  /** The column that holds the entity's key, or those that do, or, after another hop, the value that its `to` has. */
  readonly owner: KeyColumns
  /** The column that names rows of the next table. */
  readonly to: string
  /** What a row must hold to lead on; absent: nothing. */
  readonly where?: Conditions
  /** By which of its columns the shown rows are ordered first. */
  readonly order?: readonly RowOrder[]
}

export type RowOrder = { readonly column: string; readonly descends: boolean }

export type EntityMapping = {
  readonly entityType: string
  readonly table: TableName
  /** The column whose value is the entity's id, or several, which together are. */
  readonly key: KeyColumns
  readonly fields: FieldRules
  readonly related: readonly RelatedList[]
  /** Which rows are told; absent: all. */
  readonly rows?: RowFilter
  /** The columns whose values before it a `delete` tells; absent: none. */
  readonly last?: 'all' | readonly string[]
  /** The column that says whose an entity is; absent: nobody's. */
  readonly tenant?: string
  /** The fields that an entity is called by on the pages; absent: none. */
  readonly label?: readonly string[]
  /** Whether an UPDATE that is known to have changed nothing that is sent is an event all the same. */
  readonly sendsUnchanged: boolean
  /** What a backfill tells its rows as, where nobody says otherwise; `new` where it is absent. */
  readonly backfillAs?: BackfillAction
  /** Whether columns that come later are not sent unless the mapping names them. */
  readonly ignoresNewColumns?: boolean
  /** Whether a TRUNCATE is a delete of every entity that is known by its events; else it is only reported. */
  readonly deletesOnTruncate?: boolean
}

/** What a backfill of an entity type tells its rows as, by the mapping. */
export function backfillAs(mapping: readonly EntityMapping[]): (entityType: string) => BackfillAction {
  return entityType => mapping.find(entity => entity.entityType === entityType)?.backfillAs ?? 'new'
}

/** The entity types whose entities belong to tenants. */
export function tenantTypes(mapping: readonly EntityMapping[]): string[] {
  return mapping.filter(({ tenant }) => tenant !== undefined).map(({ entityType }) => entityType)
}

/** What the entities of each type are called by. */
export function labels(mapping: readonly EntityMapping[]): Labels {
  return new Map(mapping.flatMap(({ entityType, label }) => (label ? [[entityType, label] as const] : [])))
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

export type ChoosableColumn = { readonly name: string; readonly kind: ColumnKind }

export type FieldChoice = {
  /** Column → field name, in the order of the fields. */
  readonly fields: ReadonlyMap<string, string>
  /** Columns that nobody left out, and that are not sent all the same. */
  readonly withheld: readonly { readonly column: string; readonly why: Withheld }[]
}

/** Why a column is withheld that nobody has named. */
export type Withheld =
  | Suspicion
  | 'it came later, and the mapping ignores new columns'
  | 'the mapping has a field of this name'

/** What a rule says of a column, which may be named `constructor`. */
export function ruleOf<T>(rules: Readonly<Record<string, T>> | undefined, column: string): T | undefined {
  return rules && Object.hasOwn(rules, column) ? rules[column] : undefined
}

/** The columns that rules name, which are sent whatever they are called. */
function namedColumns({ include, rename, format }: FieldRules): ReadonlySet<string> {
  return new Set([...(include ?? []), ...Object.keys(rename), ...Object.keys(format ?? {})])
}

/** What says which fields an entity has. */
export type Choosing = Pick<EntityMapping, 'fields' | 'related' | 'key' | 'last'>

/** The names that the mapping itself gives to fields: a column that only has one of them is another thing. */
function givenNames({ fields, related }: Choosing): ReadonlySet<string> {
  const renamed = Object.keys(fields.rename).filter(column => maySend(fields, column))
  return new Set([
    ...renamed.map(column => fields.rename[column]!),
    ...Object.keys(fields.fixed ?? {}),
    ...related.map(({ field }) => field),
  ])
}

/**
 * Chooses the fields of a table with these columns. A column that `include`, `rename` or `format` names is never
 * withheld; nor is a key's or one of `last` for having the name of a field, which is refused instead.
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

/** Whether the mapping may send a column of this name at all: what it may not need not be read either. */
function maySend({ include, omit }: FieldRules, column: string): boolean {
  return !omit.includes(column) && (include === null || include.includes(column))
}

/** Whether a column of an entity's rows is read: it may be sent, is the key, or decides who is told a row, and whether. */
export function isRead(entity: EntityMapping, column: string): boolean {
  const { fields, key } = entity
  return (
    columnsOfKey(key).includes(column) || maySend(fields, column) || decidingColumns(entity).includes(column)
  )
}

/** The columns that decide who is told a row, and whether. */
export function decidingColumns({ rows, tenant }: Pick<EntityMapping, 'rows' | 'tenant'>): readonly string[] {
  return [...filterColumns(rows), ...(tenant === undefined ? [] : [tenant])]
}

/** Whether a field of an object is sent whose name is a row's: where the mapping names none, it is judged like a column. */
export function sendsName({ names }: RelatedList, name: string, kind: ColumnKind): boolean {
  return names ? names.includes(name) : suspect({ name, kind }) === null
}

/** Whether a related field has lists of single values, from which nulls are left out. */
export function listsValues({
  plain,
  key,
  repeats,
  one,
}: Pick<RelatedList, 'plain' | 'key' | 'repeats' | 'one'>): boolean {
  return plain && !one && (key === undefined || repeats === true)
}

/** The rows that a related field shows; undefined: all that name the owner. */
export function shownRows(list: RelatedList): RowFilter | undefined {
  const where: Conditions =
    listsValues(list) && !list.keepsNulls
      ? [...(list.where ?? []), { column: list.columns[0]!, tests: [notNull] }]
      : (list.where ?? [])
  return where.length === 0 ? undefined : { where, deletedWhen: [] }
}

const notNull = { kind: 'in', values: [null], not: true } as const

/** Every table that must be in the publication, each once: the entities' own and those of related values. */
export function publishedTables(mapping: readonly EntityMapping[]): TableName[] {
  const tables = new Map<string, TableName>()
  for (const entity of mapping)
    for (const table of [entity.table, ...entity.related.flatMap(tablesOf)])
      tables.set(tableKey(table), table)
  return [...tables.values()]
}

/** The tables of a related field, in the order in which they lead from the entity to the rows that it shows. */
function tablesOf({ through = [], table }: RelatedList): TableName[] {
  return [...through.map(hop => hop.table), table]
}

/** A table's name as a map key and as SQL: both parts quoted. */
export function tableKey(table: TableName): string {
  return `${quoteIdentifier(table.schema)}.${quoteIdentifier(table.name)}`
}

/** Quotes a name for SQL. https://www.postgresql.org/docs/current/sql-syntax-lexical.html */
export function quoteIdentifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}
