import { unreadable, type Value } from '../../domain/capture/change.ts'
import type { ColumnKind } from '../../domain/mapping/credentials.ts'
import { columnsOfKey, idAt, keyLists } from '../../domain/mapping/entity-key.ts'
import { stopsOf } from '../../domain/mapping/hops.ts'
import {
  type EntityMapping,
  isRead,
  quoteIdentifier,
  type RelatedList,
  ruleOf,
  sendsName,
  tableKey,
} from '../../domain/mapping/mapping.ts'
import type { JsonWriter } from '../../domain/value/json-text.ts'
import { hasKeyOf, undefinedColumn } from '../related/column-type.ts'
import { listQuery } from '../related/list-query.ts'
import { createRowMatcher } from '../related/match-rows.ts'
import type { Queryable } from '../source/source.ts'
import { readUpTo } from '../stream/read-up-to.ts'
import type { Catalogue } from '../verdict/catalogue.ts'
import type { ShapedRow } from './result.ts'
import { tryTwice } from './try-twice.ts'

/**
 * Reads the present rows of an entity's table with these keys; missing rows are absent. Throws if a key is not of its
 * column's type, if a view has taken the table's name (it has no `tableoid`), and `TooMuch` if the rows exceed `maxBytes`.
 */
export async function readRows(
  db: Queryable,
  catalogue: Catalogue,
  entity: EntityMapping,
  keys: readonly string[],
  maxBytes = Number.POSITIVE_INFINITY,
): Promise<Map<string, ShapedRow>> {
  const known = catalogue.tables.get(tableKey(entity.table))?.columns ?? []
  const ask = (columns: string) => {
    const from = `from ${tableKey(entity.table)}
             where ${hasKeyOf(catalogue, entity.table, entity.key)} and tableoid is not null`
    const shown = columns === '*' ? known : known.filter(({ name }) => isRead(entity, name))
    const sized = shown.map(({ name, typeOid }) => ({ sql: quoteIdentifier(name), typeOid }))
    return readUpTo(db, {
      columns,
      from,
      order: '',
      keys: keyLists(keys, entity.key),
      sized,
      catalogue,
      maxBytes,
    })
  }
  const columns = columnsToRead(catalogue, entity)
  const { rows, fields } = await ask(columns).catch(error => {
    // One of them was renamed meanwhile.
    if (columns === '*' || error.code !== undefinedColumn) throw error
    return ask('*')
  })
  return byKey(catalogue, entity, rows, fields)
}

/** The columns to read: omitted ones may be longer than a string can be. */
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
  const indexes = columnsOfKey(entity.key).map(column => shape.findIndex(({ name }) => name === column))
  return new Map(rows.map(values => [idAt(values, indexes)!, { shape, values: readable(catalogue, values) }]))
}

/** node-postgres writes this for invalid UTF-8, so the original is unknown if the database may contain such bytes. */
const notUtf8 = '\ufffd'

function readable(catalogue: Catalogue, values: readonly (string | null)[]): readonly Value[] {
  if (!catalogue.hasAnyBytes) return values
  return values.map(value => (value?.includes(notUtf8) ? unreadable : value))
}

/**
 * Reads a related list or object for many owners in one query. An owner without shown rows is absent, one with unreadable
 * rows has null. Dropped columns are omitted. Items are ordered as the mapping says, then by primary key, or without one by
 * value: the same rows always give the same JSON.
 */
export async function readRelated(
  db: Queryable,
  catalogue: Catalogue,
  related: RelatedList,
  owners: readonly string[],
  maxBytes = Number.POSITIVE_INFINITY,
): Promise<Map<string, RelatedValue | null>> {
  const { select, from, order, sized, living, filters } = listQuery(catalogue, related)
  const firstOwner = stopsOf(related)[0]!.owner
  const { rows, fields } = await readUpTo(db, {
    columns: select.join(', '),
    ...{ from, order, keys: keyLists(owners, firstOwner), sized, catalogue, maxBytes },
  })
  const ofKey = [...columnsOfKey(firstOwner).keys()]
  const begin = ofKey.length
  const shown = living.key === undefined ? living.columns : [living.key, ...living.columns]
  const writers = fields
    .slice(begin, begin + shown.length)
    .map(({ dataTypeID }, i) => catalogue.writerOf(dataTypeID, ruleOf(related.format, shown[i]!)))
  const add =
    related.key === undefined
      ? addItem(living, writers)
      : addMember(related, writers[1]!, catalogue.kindOf(fields[begin + 1]!.dataTypeID))
  const byOwner = new Map<string, Map<string, string>>()
  const counts = new Map<string, number>()
  const broken = new Set<string>()
  const matches = createRowMatcher(catalogue, filters, fields)
  for (const row of rows) {
    const verdict = matches(readable(catalogue, row))
    if (verdict === 'no') continue
    const key = idAt(row, ofKey)!
    counts.set(key, (counts.get(key) ?? 0) + 1)
    const values = row.slice(begin, begin + shown.length)
    if (verdict === 'unknown' || readable(catalogue, values).includes(unreadable)) broken.add(key)
    const items = byOwner.get(key) ?? new Map<string, string>()
    byOwner.set(key, items)
    if (!tryTwice(() => add(items, values)).ok) broken.add(key)
  }
  const [opening, end] = related.one ? ['', ''] : related.key === undefined ? ['[', ']'] : ['{', '}']
  // An unclosed list: another row may have the same name.
  const close = related.repeats ? ']' : ''
  const itemsOf = (items: Map<string, string>) => [...items.values()].slice(0, related.one ? 1 : undefined)
  const write = (items: Map<string, string>) =>
    `${opening}${itemsOf(items)
      .map(item => `${item}${close}`)
      .join(',')}${end}`
  const listOf = (key: string, items: Map<string, string>) => {
    const written = broken.has(key) ? null : tryTwice(() => write(items))
    return written?.ok ? { json: written.value, rows: counts.get(key)! } : null
  }
  return new Map([...byOwner].map(([key, items]) => [key, listOf(key, items)]))
}

/** A related list or object as JSON, and the number of its rows. */
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
 * Of two rows with one name the last counts, unless the mapping wants lists; a row without a name is skipped. Unnamed names
 * are suspected like columns.
 */
function addMember(related: RelatedList, write: JsonWriter, kind: ColumnKind): AddRow {
  const known = new Map<string, boolean>()
  const isSent = (name: string) => {
    const is = known.get(name) ?? sendsName(related, name, kind)
    known.set(name, is)
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
