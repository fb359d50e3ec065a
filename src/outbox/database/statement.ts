import type pg from 'pg'
import { type ColumnType, column, type ItemOf } from './binary-array.ts'
import { toColumn } from './fields.ts'

/**
 * SQL with named parameters. A statement declares its parameters, its text uses their names, and callers pass values by name:
 *
 *     const cancelEntities = statement(
 *       'cancel_entities',
 *       { webhookId: 'int', entities: rows<Entity>({ entityType: 'text', entityId: 'text' }) },
 *       p => `delete from walhook.deliveries d using ${p.entities('s')} where d.webhook_id = ${p.webhookId} and …`,
 *     )
 *     await cancelEntities(client, { webhookId: 7, entities })
 */
export function statement<const Given extends Record<string, Parameter>>(
  name: string,
  given: Given,
  write: (p: { readonly [Name in keyof Given]: Written<Given[Name]> }) => string,
) {
  const parameters = Object.entries<Parameter>(given)
  let count = 0
  const written = parameters.map(([key, parameter]) => {
    const from = count
    count += typeof parameter === 'string' ? 1 : parameter.types.length
    return [key, writeParameter(parameter, from)] as const
  })
  const text = write(Object.fromEntries(written) as Parameters<typeof write>[0])

  // biome-ignore lint/suspicious/noExplicitAny: rows as node-postgres gives them
  async function run(db: Db, values: ValuesOf<Given>): Promise<pg.QueryResult<any>> {
    const flat = parameters.flatMap(([key, parameter]) => {
      const value = values[key as keyof Given]
      return typeof parameter === 'string' ? [value] : parameter.columnsOf(value as never)
    })
    return await db.query({ name, text, values: flat })
  }
  /** The text for Postgres, to inspect its plan. */
  return Object.assign(run, { text })
}

type Db = { query(config: pg.QueryConfig): Promise<pg.QueryResult> }

/** Types of single values, by Postgres' name, with their TypeScript types. */
type Scalars = {
  boolean: boolean
  smallint: number
  int: number
  bigint: bigint
  float8: number
  text: string
  pg_lsn: string
  timestamptz: Date
  'smallint[]': readonly number[]
  'int[]': readonly number[]
  'bigint[]': readonly bigint[]
  'text[]': readonly string[]
}
type Parameter = keyof Scalars | Rows<never>

/** Many rows, sent by column. */
type Rows<Given> = {
  readonly names: readonly string[]
  readonly types: readonly string[]
  readonly columnsOf: (given: Given) => unknown[]
}

type ValuesOf<Given extends Record<string, Parameter>> = {
  readonly [Name in keyof Given]: Given[Name] extends keyof Scalars
    ? Scalars[Given[Name]] | null
    : Given[Name] extends Rows<infer Values>
      ? Values
      : never
}

/** A single value is an expression; rows become an item of `from`, under an alias. */
type Written<P> = P extends string ? string : (alias: string) => string

function writeParameter(parameter: Parameter, from: number): string | ((alias: string) => string) {
  if (typeof parameter === 'string') return `$${from + 1}::${parameter}`
  const { names, types } = parameter
  // In subqueries, which hide the arrays' lengths from the planner: it would plan each short one again, at many times the cost
  // of execution.
  const arrays = types.map((type, i) => `(select $${from + i + 1}::${type}[])`)
  return alias => `unnest(${arrays.join(', ')}) as ${alias} (${names.join(', ')})`
}

/**
 * A CTE with the time of the statement: written and returned values must not call a volatile function, which a table on another
 * node refuses (decision 0095).
 */
export const moment = 'moment as materialized (select statement_timestamp() as now)'
export const now = '(select now from moment)'

/** The types of a column for values of a field. */
type TypeFor<Value> = {
  [Type in ColumnType]: [Value] extends [ItemOf<Type>] ? Type : never
}[ColumnType]

/** Columns with a value of their own: Postgres' type, and how it follows from an item. */
type Computed<Item> = {
  readonly [Name in string]: {
    [Type in ColumnType]: readonly [Type, (item: Item) => ItemOf<Type>]
  }[ColumnType]
}

/**
 * Describes rows by column: fields of the item by Postgres' type (`settledUpTo` becomes `settled_up_to`, as `fields` reads it),
 * and computed ones by their names in SQL.
 */
export function rows<Item>(
  fields: { readonly [Field in keyof Item & string]?: TypeFor<Item[Field]> },
  computed: Computed<Item> = {},
): Rows<readonly Item[]> {
  const ofFields = Object.entries<ColumnType>(fields as Record<string, ColumnType>).map(
    ([field, type]) => [toColumn(field), [type, (item: Item) => item[field as keyof Item]]] as const,
  )
  const all = [...ofFields, ...Object.entries(computed)]
  return {
    names: all.map(([name]) => name),
    types: all.map(([, [type]]) => type),
    columnsOf: items => all.map(([, [type, pick]]) => column(type, items, pick as never)),
  }
}

/** Rows given as arrays by column; null: a column of nulls. */
export function arrays<const Columns extends Record<string, readonly [ColumnType, unknown]>>(
  columns: Columns,
): Rows<{ readonly [Name in keyof Columns]: Buffer | null }> {
  const names = Object.keys(columns)
  const types = Object.values(columns).map(([type]) => type)
  return { names, types, columnsOf: given => names.map(name => given[name]) }
}

/** The values of a dynamically built statement, by position. */
export function parameters() {
  const values: unknown[] = []
  return { values, given: (value: unknown) => `$${values.push(value)}` }
}
