import { columnsOfKey, keyName, onlyColumn } from '../../domain/mapping/entity-key.ts'
import { stopsOf } from '../../domain/mapping/hops.ts'
import {
  type EntityMapping,
  quoteIdentifier,
  type RelatedList,
  type TableName,
  tableKey,
} from '../../domain/mapping/mapping.ts'
import type { Catalogue, Table } from './catalogue.ts'
import type { SourceFacts } from './preflight-verdict.ts'

/** Whether the owner column of a related list contains the entity's key. */
type RelationVerdict =
  | { readonly level: 'ok'; readonly found: string }
  | { readonly level: 'warning' | 'error'; readonly found: string; readonly mend: string }

type Verdict = RelationVerdict & {
  /** Whether only a foreign key says so, which a migration may add to a correct column. */
  readonly isByReference?: boolean
}

/**
 * Checks the path to the table `at` of a related field. A contradicting foreign key alone is an error before the table is
 * published, and a warning later, so that a migration does not stop the whole capture.
 */
export function checkStop(
  catalogue: Catalogue,
  { entity, related, at }: { entity: EntityMapping; related: RelatedList; at: number },
  { publication }: Pick<SourceFacts, 'publication'>,
): RelationVerdict {
  const { isByReference, ...verdict }: Verdict =
    at === 0 ? checkRelation(catalogue, entity, related) : checkHop(catalogue, related, at)
  const table = tableKey(stopsOf(related)[at]!.table)
  const isPublished = publication?.tables.some(name => tableKey(name) === table)
  return verdict.level === 'error' && isByReference && isPublished
    ? { ...verdict, level: 'warning' }
    : verdict
}

/**
 * Compares the types of both columns, and foreign keys. A wrong owner column gives empty lists without any error. For a
 * composite key, the worst column counts.
 */
function checkRelation(catalogue: Catalogue, entity: EntityMapping, related: RelatedList): Verdict {
  const first = stopsOf(related)[0]!
  const [keys, owners] = [columnsOfKey(entity.key), columnsOfKey(first.owner)]
  if (keys.length !== owners.length)
    return {
      level: 'error',
      found: `${owners.length === 1 ? 'is one column' : `are ${owners.length} columns`}, but the key of ${entity.entityType} has ${keys.length} (${keys.join(', ')})`,
      mend: `in the mapping, name as owner the columns of ${tableKey(first.table)} that contain ${keys.join(', ')}, in this order`,
    }
  const verdicts = keys.map((key, i) =>
    checkColumn(catalogue, entity, first.table, { key, owner: owners[i]! }),
  )
  const of = (level: RelationVerdict['level']) => verdicts.find(verdict => verdict.level === level)
  return of('error') ?? of('warning') ?? verdicts[0]!
}

function checkColumn(
  catalogue: Catalogue,
  entity: EntityMapping,
  relatedName: TableName,
  pair: { readonly key: string; readonly owner: string },
): Verdict {
  const table = catalogue.tables.get(tableKey(entity.table))
  const relatedTable = catalogue.tables.get(tableKey(relatedName))
  const key = table?.columns.find(({ name }) => name === pair.key)
  const owner = relatedTable?.columns.find(({ name }) => name === pair.owner)
  if (!table || !relatedTable || !key || !owner)
    return { level: 'ok', found: 'unknown: a table or column is missing' }
  const isOne = typeof entity.key === 'string'
  const named = `${tableKey(entity.table)} (${keyName(entity.key)})`
  const mend = mendOf(relatedTable, entity, pair.key)
  if (canMatch(catalogue, key.typeOid, owner.typeOid) === false) {
    const found = isOne
      ? `is ${owner.typeName}, but the key ${named} is ${key.typeName}`
      : `${pair.owner} is ${owner.typeName}, but ${pair.key} of the key ${named} is ${key.typeName}`
    return { level: 'error', found: `${found}: no value can be in both`, mend }
  }
  const targets = targetsOf(relatedTable, pair.owner)
  const same = new Set([targetKey(entity.table, pair.key), ...targetsOf(table, pair.key).map(textOf)])
  if (targets.some(target => same.has(textOf(target))))
    return { level: 'ok', found: `references the key ${named}` }
  const [target] = targets
  if (!target)
    return {
      level: 'ok',
      found: `has a type that fits the key ${named}; without a foreign key, nothing more is known`,
    }
  const found = `${isOne ? '' : `${pair.owner} `}references ${tableKey(target.table)} (${target.column}), not the key ${named}`
  // One of several columns, such as a tenant, may match without a foreign key.
  const isSameTable = isOne && tableKey(target.table) === tableKey(entity.table)
  return isSameTable
    ? {
        ...{ level: 'error', found, isByReference: true },
        mend: `${mend}, or make ${target.column} the entity's key`,
      }
    : { level: 'warning', found, mend }
}

/**
 * Checks whether the rows of a related field's table `at` (after the first) can be those that the table before refers to: by
 * types, and foreign keys of either.
 */
function checkHop(catalogue: Catalogue, list: RelatedList, at: number): RelationVerdict {
  const [before, stop] = [stopsOf(list)[at - 1]!, stopsOf(list)[at]!]
  const [from, table] = [before, stop].map(each => catalogue.tables.get(tableKey(each.table)))
  const to = from?.columns.find(({ name }) => name === before.to)
  const owner = table?.columns.find(({ name }) => name === onlyColumn(stop.owner))
  if (!from || !table || !to || !owner) return { level: 'ok', found: 'unknown: a table or column is missing' }
  const led = `${tableKey(from.name)} (${to.name})`
  if (canMatch(catalogue, to.typeOid, owner.typeOid) === false)
    return {
      level: 'error',
      found: `is ${owner.typeName}, but ${led}, which refers to it, is ${to.typeName}: no value can be in both`,
      mend: 'in the mapping, name under through the columns of both tables that contain the same values',
    }
  if (!haveOperator(catalogue, to.typeOid, owner.typeOid))
    return {
      level: 'ok',
      found: `is ${owner.typeName}, but ${led}, which refers to it, is ${to.typeName}: Postgres compares them as texts, and reads the whole table without an index for that. To add one: create index concurrently on ${tableKey(table.name)} ((${quoteIdentifier(owner.name)}::text));`,
    }
  const ends = [
    [targetKey(from.name, to.name), ...targetsOf(from, to.name).map(textOf)],
    [targetKey(table.name, owner.name), ...targetsOf(table, owner.name).map(textOf)],
  ] as const
  if (ends[0].some(end => ends[1].includes(end))) return { level: 'ok', found: `matches ${led}` }
  const [target] = targetsOf(from, to.name)
  if (!target)
    return { level: 'ok', found: `has a type that fits ${led}; without a foreign key, nothing more is known` }
  return {
    level: 'warning',
    found: `is not what ${led} references: that is ${tableKey(target.table)} (${target.column})`,
    mend: `in the mapping, name ${tableKey(target.table)} as the next table under through, or ${target.column} as its owner`,
  }
}

function mendOf(relatedTable: Table, entity: EntityMapping, key: string): string {
  const column = relatedTable.columns.find(({ name }) =>
    targetsOf(relatedTable, name).some(
      ({ table, column }) => tableKey(table) === tableKey(entity.table) && column === key,
    ),
  )
  const meant = column ? `: did you mean ${column.name}?` : ''
  return `in the mapping, name as owner the column of ${tableKey(relatedTable.name)} that contains the key${meant}`
}

type Target = { readonly table: TableName; readonly column: string }

const targetKey = (table: TableName, column: string) => JSON.stringify([table.schema, table.name, column])
const textOf = ({ table, column }: Target) => targetKey(table, column)

/** The columns that a column references, by each of its foreign keys. */
function targetsOf({ references }: Table, column: string): Target[] {
  return references.flatMap(({ columns, table, referenced }) =>
    columns.flatMap((name, i) => (name === column ? [{ table, column: referenced[i]! }] : [])),
  )
}

/** Types by OID, equal in every Postgres: int2, int4, int8, oid; text, varchar, bpchar, name; uuid. */
const families: readonly ReadonlySet<number>[] = [
  new Set([21, 23, 20, 26]),
  new Set([25, 1043, 1042, 19]),
  new Set([2950]),
]
const textFamily = families[1]!

/** Whether values of both types can have the same text; null: unknown. */
function canMatch(catalogue: Catalogue, a: number, b: number): boolean | null {
  const [one, other] = [catalogue.baseTypeOf(a), catalogue.baseTypeOf(b)]
  if (one === other) return true
  const of = (oid: number) => families.find(family => family.has(oid))
  const [familyOfOne, familyOfOther] = [of(one), of(other)]
  // Extension types and texts may contain anything.
  if (!familyOfOne || !familyOfOther) return null
  if (familyOfOne === textFamily || familyOfOther === textFamily) return null
  return familyOfOne === familyOfOther
}

/** Whether Postgres compares both types directly, unlike an integer and a text of digits. */
export function haveOperator({ baseTypeOf }: Pick<Catalogue, 'baseTypeOf'>, a: number, b: number): boolean {
  const [one, other] = [baseTypeOf(a), baseTypeOf(b)]
  return one === other || families.some(family => family.has(one) && family.has(other))
}
