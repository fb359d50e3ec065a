import { unreadable, type Value } from '../../domain/capture/change.ts'
import type { ColumnKind } from '../../domain/mapping/credentials.ts'
import {
  type EntityMapping,
  isRead,
  quoteIdentifier,
  type RelatedList,
  ruleOf,
  sendsName,
  shownRows,
  tableKey,
} from '../../domain/mapping/mapping.ts'
import { filterColumns } from '../../domain/mapping/row-filter.ts'
import type { JsonWriter } from '../../domain/value/json-text.ts'
import { mostInARow } from '../../domain/value/streak.ts'
import { describeError } from '../../runtime/log.ts'
import type { Catalogue } from '../source/catalogue.ts'
import type { Queryable } from '../source/source.ts'
import { readUpTo } from '../stream/read-up-to.ts'
import type { ShapedRow } from './result.ts'
import { createRowFilters } from './row-filters.ts'
import { twice } from './twice.ts'

/**
 * Reads the rows of an entity's table with these keys, as they are now. A row that is gone is absent. Fails where a view, which may
 * hide rows, has taken the table's name: it has no `tableoid`.
 * Throws when a key is not of the key column's type, and `TooMuch` where the rows have more than `mostBytes`.
 */
export async function readRows(
  db: Queryable,
  catalogue: Catalogue,
  entity: EntityMapping,
  keys: readonly string[],
  mostBytes = Number.POSITIVE_INFINITY,
): Promise<Map<string, ShapedRow>> {
  const key = quoteIdentifier(entity.key)
  const known = catalogue.tables.get(tableKey(entity.table))?.columns ?? []
  const ask = (columns: string) => {
    const from = `from ${tableKey(entity.table)}
             where ${key} = any($1::${typeOf(catalogue, entity.table, entity.key)}[]) and tableoid is not null`
    const shown = columns === '*' ? known : known.filter(({ name }) => isRead(entity, name))
    return readUpTo(db, { columns, from, order: '', keys, sized: shown, catalogue, mostBytes })
  }
  const columns = columnsToRead(catalogue, entity)
  const { rows, fields } = await ask(columns).catch(error => {
    // One of them has another name by now.
    if (columns === '*' || error.code !== undefinedColumn) throw error
    return ask('*')
  })
  return byKey(catalogue, entity, rows, fields)
}

/** The columns to read of an entity's rows: what the mapping leaves out may be larger than a text can be here. */
function columnsToRead(catalogue: Catalogue, entity: EntityMapping): string {
  const columns = catalogue.tables.get(tableKey(entity.table))?.columns ?? []
  const read = columns.filter(({ name }) => isRead(entity, name))
  return read.length === columns.length ? '*' : read.map(({ name }) => quoteIdentifier(name)).join(', ')
}

function byKey(
  catalogue: Catalogue,
  entity: EntityMapping,
  rows: (string | null)[][],
  fields: readonly { name: string; dataTypeID: number }[],
): Map<string, ShapedRow> {
  const shape = fields.map(field => ({ name: field.name, typeOid: field.dataTypeID }))
  const keyIndex = shape.findIndex(({ name }) => name === entity.key)
  return new Map(rows.map(values => [values[keyIndex]!, { shape, values: readable(catalogue, values) }]))
}

/** node-postgres writes this for bytes that are not UTF-8. Where they can be, it says nothing of what was there. */
const notUtf8 = '\ufffd'

function readable(catalogue: Catalogue, values: readonly (string | null)[]): readonly Value[] {
  if (!catalogue.hasAnyBytes) return values
  return values.map(value => (value?.includes(notUtf8) ? unreadable : value))
}

/**
 * Reads a related list or object for many owners in one query. Returns each owner's; an owner without
 * rows that are shown is absent, one with rows that can't be told has null. A column that was dropped is left out of the items.
 * These come in the order that the mapping asks for, then in that of the related table's primary key, and where it has none,
 * in that of their values: the same rows always give the same JSON.
 */
export async function readRelated(
  db: Queryable,
  catalogue: Catalogue,
  related: RelatedList,
  owners: readonly string[],
  mostBytes = Number.POSITIVE_INFINITY,
): Promise<Map<string, RelatedValue | null>> {
  const owner = quoteIdentifier(related.owner)
  const table = catalogue.tables.get(tableKey(related.table))
  const present = related.columns.filter(column => table?.columns.some(({ name }) => name === column))
  const living = present.length === 0 ? related : { ...related, columns: present }
  const shown = living.key === undefined ? living.columns : [living.key, ...living.columns]
  const columns = shown.map(quoteIdentifier)
  const primaryKey = table?.primaryKey ?? []
  const asked = (related.order ?? [])
    .filter(({ column }) => table?.columns.some(({ name }) => name === column))
    .map(({ column, descends }) => `${quoteIdentifier(column)}${descends ? ' desc' : ''} nulls last`)
  const order = [
    ...asked,
    ...(primaryKey.length > 0
      ? primaryKey.map(quoteIdentifier)
      : columns.map(name => `${name}::text collate "C"`)),
  ]
  const filter = shownRows(related)
  const deciding = filterColumns(filter).filter(column => column !== related.owner && !shown.includes(column))
  const { rows, fields } = await readUpTo(db, {
    columns: [owner, ...columns, ...deciding.map(quoteIdentifier)].join(', '),
    from: `from ${tableKey(related.table)}
           where ${owner} = any($1::${typeOf(catalogue, related.table, related.owner)}[]) and tableoid is not null`,
    order: `order by ${order.join(', ')}`,
    keys: owners,
    sized: (table?.columns ?? []).filter(({ name }) => shown.includes(name) || deciding.includes(name)),
    catalogue,
    mostBytes,
  })
  const writers = fields
    .slice(1, 1 + shown.length)
    .map(({ dataTypeID }, i) => catalogue.writerOf(dataTypeID, ruleOf(related.format, shown[i]!)))
  const add =
    related.key === undefined
      ? addItem(living, writers)
      : addMember(related, writers[1]!, catalogue.kindOf(fields[2]!.dataTypeID))
  const byOwner = new Map<string, Map<string, string>>()
  const counts = new Map<string, number>()
  const untold = new Set<string>()
  const judge = createRowFilters(catalogue)
  const shape = fields.map(field => ({ name: field.name, typeOid: field.dataTypeID }))
  for (const row of rows) {
    const verdict = judge(filter, { shape, values: readable(catalogue, row) })
    if (verdict === 'no') continue
    const key = row[0]!
    counts.set(key, (counts.get(key) ?? 0) + 1)
    const values = row.slice(1, 1 + shown.length)
    if (verdict === 'unknown' || readable(catalogue, values).includes(unreadable)) untold.add(key)
    const items = byOwner.get(key) ?? new Map<string, string>()
    byOwner.set(key, items)
    if (!twice(() => add(items, values)).ok) untold.add(key)
  }
  const [begin, end] = related.key === undefined ? ['[', ']'] : ['{', '}']
  // A list that is not closed: another row may have the same name.
  const close = related.repeats ? ']' : ''
  const write = (items: Map<string, string>) =>
    `${begin}${[...items.values()].map(item => `${item}${close}`).join(',')}${end}`
  const listOf = (key: string, items: Map<string, string>) => {
    const written = untold.has(key) ? null : twice(() => write(items))
    return written?.ok ? { json: written.value, rows: counts.get(key)! } : null
  }
  return new Map([...byOwner].map(([key, items]) => [key, listOf(key, items)]))
}

/** A related list or object as JSON, and the number of rows that it shows. */
export type RelatedValue = { readonly json: string; readonly rows: number }

type AddRow = (items: Map<string, string>, values: readonly (string | null)[]) => void

const jsonOf = (write: JsonWriter, value: string | null) => (value === null ? 'null' : write(value))

function addItem(related: RelatedList, writers: readonly JsonWriter[]): AddRow {
  const names = related.columns.map(column => JSON.stringify(ruleOf(related.rename, column) ?? column))
  return (items, values) => {
    const json = values.map((value, i) => jsonOf(writers[i]!, value))
    const item = related.plain ? json[0]! : `{${json.map((value, i) => `${names[i]}:${value}`).join(',')}}`
    items.set(String(items.size), item)
  }
}

/**
 * Of two rows with one name the last counts, unless the mapping wants a list of each; a row without a name can't be shown in an object. Nobody has named what the
 * names are of, so they are judged like columns.
 */
function addMember(related: RelatedList, write: JsonWriter, kind: ColumnKind): AddRow {
  const judged = new Map<string, boolean>()
  const isSent = (name: string) => {
    const is = judged.get(name) ?? sendsName(related, name, kind)
    judged.set(name, is)
    return is
  }
  return (items, [name, value]) => {
    if (typeof name !== 'string' || !isSent(name)) return
    const json = jsonOf(write, value!)
    const before = related.repeats ? items.get(name) : undefined
    if (before !== undefined) items.set(name, `${before},${json}`)
    else items.set(name, `${JSON.stringify(name)}:${related.repeats ? '[' : ''}${json}`)
  }
}

function typeOf(catalogue: Catalogue, table: RelatedList['table'], column: string): string {
  const found = catalogue.tables.get(tableKey(table))?.columns.find(({ name }) => name === column)
  if (!found)
    throw Object.assign(new Error(`${tableKey(table)} has no column ${column}`), { code: undefinedColumn })
  return found.typeName
}

const undefinedColumn = '42703'
/** A table, a schema or a column that is not there (any more). */
const notThere = new Set(['42P01', '3F000', undefinedColumn])
/** Also a NUL, which no text of Postgres has. */
export const notOfTheKeysType = new Set(['22P02', '22003', '22007', '22008', '22021'])

/** What is wrong with the data itself, as with a value whose parts are lost, or too large: it stays so. */
const broken = /^(22|54|XX|58|0A|P0|38|39)/
/** A value that no string of JavaScript can hold. */
const tooLong = 'ERR_STRING_TOO_LONG'

/** Whether an error is about the data that was to be read, and comes again each time that it is read. */
export function isOfData(error: unknown): boolean {
  const { code = '' } = error as { code?: string }
  return code === tooLong || (code.length === 5 && broken.test(code)) || error instanceof RangeError
}

/** Keys one after the other whose rows can't be read, and why. */
type Broken = { count: number; because: string }

/**
 * Reads for keys of which some may not be of the key's type any more: there are no rows with these. `onBroken` hears of
 * each key whose rows can't be read at all; after fifty in a row the others are not tried. Null where the table is gone, or a
 * column that is needed.
 */
export async function readWhatIsThere<T>(
  keys: readonly string[],
  read: (keys: readonly string[]) => Promise<Map<string, T>>,
  onBroken: (key: string, because: string) => void,
  inARow: Broken = { count: 0, because: '' },
): Promise<Map<string, T> | null> {
  if (inARow.count >= mostInARow) {
    for (const key of keys) onBroken(key, inARow.because)
    return new Map()
  }
  try {
    const found = await read(keys)
    if (found.size > 0) inARow.count = 0
    return found
  } catch (error) {
    const { code = '' } = error as { code?: string }
    if (notThere.has(code)) return null
    const isOfType = !notOfTheKeysType.has(code)
    if (isOfType && !isOfData(error)) throw error
    if (keys.length <= 1) {
      if (!isOfType) return new Map()
      inARow.count++
      inARow.because = describeError(error)
      for (const key of keys) onBroken(key, inARow.because)
      return new Map()
    }
    const middle = Math.ceil(keys.length / 2)
    const first = await readWhatIsThere(keys.slice(0, middle), read, onBroken, inARow)
    const second = await readWhatIsThere(keys.slice(middle), read, onBroken, inARow)
    return first && second && new Map([...first, ...second])
  }
}
