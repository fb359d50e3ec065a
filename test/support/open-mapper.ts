import { createMapper } from '../../src/capture/map/map.ts'
import type { Source } from '../../src/capture/source/source.ts'
import type { Catalogue, Table } from '../../src/capture/verdict/catalogue.ts'
import type { Change, Relation, Row } from '../../src/domain/capture/change.ts'
import { columnKind } from '../../src/domain/mapping/credentials.ts'
import { type EntityMapping, tableKey } from '../../src/domain/mapping/mapping.ts'
import { formatWriter } from '../../src/domain/value/format.ts'
import { isInteger, jsonWriter } from '../../src/domain/value/json-text.ts'

const typeOids: Record<string, number> = { integer: 23, text: 25, boolean: 16, timestamp: 1114 }
export type Columns = Readonly<Record<string, keyof typeof typeOids>>

export function relation(name: string, columns: Columns, oid = 1): Relation {
  const described = Object.entries(columns).map(([column, type], i) => ({
    name: column,
    typeOid: typeOids[type]!,
    inKey: i === 0,
  }))
  return { oid, schema: 'public', name, identity: 'default', columns: described }
}

export function tableOf({ oid, schema, name, columns }: Relation): Table {
  return {
    name: { schema, name },
    oid,
    kind: 'r',
    isPartition: false,
    identity: 'd',
    columns: columns.map(column => ({ ...column, typeName: 'of its type', isGenerated: false })),
    attributes: columns.map(({ name: column }) => column),
    primaryKey: [columns[0]!.name],
    identityColumns: [columns[0]!.name],
    generated: 'nothing',
    generatedInIdentity: 'nothing',
    isLogged: true,
    uniqueColumns: [columns[0]!.name],
    indexedColumns: [columns[0]!.name],
    leaves: [],
    hasHeirs: false,
    rowBytes: null,
    partitionedBy: [],
    partitionsGetKey: true,
    references: [],
    isReadable: true,
    isOwned: true,
    owner: 'app',
    hidesRows: false,
    isForced: false,
  }
}

function catalogueOf(...tables: Table[]): Catalogue {
  return {
    tables: new Map(tables.map(table => [tableKey(table.name), table])),
    otherTables: [],
    hasFormat: (oid, format) => formatWriter(format, oid, () => undefined) !== null,
    writerOf: (oid, format) =>
      (format && formatWriter(format, oid, () => undefined)) ?? jsonWriter(oid, () => undefined),
    isInteger: oid => isInteger(oid, () => undefined),
    kindOf: oid => columnKind(oid, () => undefined),
    baseTypeOf: oid => oid,
  }
}

export const users = relation('users', { id: 'integer', name: 'text', story: 'text' })
/** The same table where the WAL gives the whole row before a change. */
export const fullUsers: Relation = {
  ...users,
  identity: 'full',
  columns: users.columns.map(column => ({ ...column, inKey: true })),
}
export const companies = relation('companies', { id: 'text' }, 2)
export const links = relation('user_companies', { user_id: 'integer', company_id: 'text' }, 3)

const every = { include: null, omit: [], rename: {} }
export const entity = (
  entityType: string,
  name: string,
  related: EntityMapping['related'] = [],
): EntityMapping => ({
  entityType,
  table: { schema: 'public', name },
  key: 'id',
  fields: every,
  related,
  sendsUnchanged: false,
})
export const linked = {
  field: 'companies',
  table: { schema: 'public', name: 'user_companies' },
  owner: 'user_id',
  columns: ['company_id'],
  plain: true,
}

/** A mapper over a source whose tables hold these rows now. */
export function openMapper(
  options: {
    mapping?: readonly EntityMapping[]
    tables?: Table[]
    /** Where the WAL ends when rows have been read. */
    walEnd?: string
    readBefore?: bigint
    present?: Record<string, { columns: Columns; rows: readonly (string | null)[][] }>
  } = {},
) {
  const { present = {} } = options
  const asked: string[] = []
  let reloads = 0
  /** Everything is seen, and nothing else is written meanwhile. */
  const facts = [{ snapshot: '1000:1000:', lsn: options.walEnd ?? '0/0' }]
  const query = async (asking: string | { text: string; values: [string[]] }) => {
    if (typeof asking === 'string') return { rows: facts, fields: [] }
    const { text, values } = asking
    const table = /from "public"\."(\w+)"/.exec(text)![1]!
    asked.push(`${table} ${values[0].join(' ')}`)
    const { columns, rows } = present[table] ?? { columns: {}, rows: [] }
    const fields = Object.entries(columns).map(([name, type]) => ({ name, dataTypeID: typeOids[type]! }))
    return { rows: rows.filter(row => values[0].includes(row[0]!)), fields }
  }
  const catalogue = catalogueOf(...(options.tables ?? [users, companies, links].map(each => tableOf(each))))
  const map = createMapper({
    source: { pool: { query } } as unknown as Source,
    mapping: options.mapping ?? [entity('user', 'users'), entity('company', 'companies')],
    catalogue,
    readBefore: options.readBefore ?? null,
    reloadCatalogue: async () => {
      reloads++
      return catalogue
    },
  })
  return {
    asked,
    reloads: () => reloads,
    /** Maps transactions, the first at LSN 10, the second at 20 …; events as `10.0 {…}`. */
    async map(...transactions: Change[][]) {
      const parts = transactions.map((changes, i) => ({
        commitLsn: BigInt(10 * (i + 1)),
        committedAt: new Date(i),
        xid: i + 1,
        mark: null,
        changes,
      }))
      const { events, parked, truncated } = await map(parts)
      const texts = events.map(event => `${event.commitLsn}.${event.index} ${event.body}`)
      return { texts, events, parked, truncated }
    },
  }
}

export const insert = (into: Relation, ...row: Row): Change => ({ kind: 'insert', relation: into, row })
export const update = (of: Relation, old: Row | null, ...row: Row): Change => ({
  kind: 'update',
  relation: of,
  row,
  old,
})
export const remove = (from: Relation, ...old: Row): Change => ({ kind: 'delete', relation: from, old })
