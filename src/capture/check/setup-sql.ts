import { columnsOfKey } from '../../domain/mapping/entity-key.ts'
import { stopsOf } from '../../domain/mapping/hops.ts'
import {
  type EntityMapping,
  publishedTables,
  quoteIdentifier,
  type TableName,
  tableKey,
} from '../../domain/mapping/mapping.ts'
import { type Catalogue, givesPrevious, type Table } from '../verdict/catalogue.ts'
import { refusesUnpublished, type SourceFacts } from '../verdict/preflight-verdict.ts'
import { createPublication } from '../verdict/publication-verdict.ts'
import { conditionsWithoutBefore, lastWithoutBefore } from '../verdict/rows-before.ts'

type Options = {
  readonly mapping: readonly EntityMapping[]
  readonly publicationName: string
  /** Whether walhook's own tables belong into this database, and do not exist yet. */
  readonly needsSchema: boolean
}

/**
 * The SQL that the tables' owner or a superuser runs before the first start: missing grants, identities and the publication.
 * Comments name manual steps and choices. Plain SQL for any client.
 */
export function setupSql(facts: SourceFacts, catalogue: Catalogue, options: Options): string {
  const tables = publishedTables(options.mapping).flatMap(name => catalogue.tables.get(tableKey(name)) ?? [])
  const required = [
    ...serverStatements(facts, options),
    ...tables.flatMap(table => grants(table, facts)),
    ...publicationSettings(facts, tables, options),
    ...tables.flatMap(table => identity(table, needsWholeRows(table, catalogue, options.mapping), facts)),
    ...publication(facts, tables, options),
  ]
  const optional = tables.flatMap(table => previousValues(table, required, facts))
  return [
    `-- What walhook lacks in database ${oneLine(facts.database)} as role ${oneLine(facts.role)}.`,
    '-- Run it as the owner of the tables, and statements that name a role as a superuser. Then run: walhook check',
    ...(required.length === 0
      ? ['-- Nothing is missing.']
      : [
          '-- Limits how long the application waits behind a lock that a statement here waits for.',
          "set lock_timeout = '5s';",
          ...required,
        ]),
    ...(optional.length === 0
      ? []
      : [
          '-- Optional: webhooks then get "previous", and no updates without a change. It costs WAL.',
          ...optional,
        ]),
    '',
  ].join('\n')
}

const oneLine = (text: string) => text.replaceAll(/\s+/g, ' ')
const comment = (text: string) => `-- ${oneLine(text)}`

function serverStatements(facts: SourceFacts, { needsSchema }: Options): string[] {
  const role = quoteIdentifier(facts.role)
  return [
    ...(facts.walLevel === 'logical'
      ? []
      : [
          comment(
            "Restart PostgreSQL after: alter system set wal_level = 'logical';  (a managed Postgres has a parameter for logical replication instead)",
          ),
        ]),
    ...(facts.mayReplicate
      ? []
      : [
          facts.hasReplicationGroup ? `grant rds_replication to ${role};` : `alter role ${role} replication;`,
        ]),
    ...(needsSchema && !facts.mayCreate
      ? [`grant create on database ${quoteIdentifier(facts.database)} to ${role};`]
      : []),
  ]
}

function grants(table: Table, { role }: SourceFacts): string[] {
  const to = quoteIdentifier(role)
  return [
    ...(table.isReadable
      ? []
      : [
          `grant usage on schema ${quoteIdentifier(table.name.schema)} to ${to};`,
          `grant select on ${tableKey(table.name)} to ${to};`,
        ]),
    // Rows that a policy hides would look deleted.
    ...(table.hidesRows ? [`alter role ${to} bypassrls;`] : []),
  ]
}

/**
 * Whether the WAL must contain more of a row before its change than the primary key: for the entity or owner, and for
 * `check`'s warnings about filters, earlier values and tenants.
 */
function needsWholeRows(table: Table, catalogue: Catalogue, mapping: readonly EntityMapping[]): boolean {
  const isThis = (name: TableName) => tableKey(name) === tableKey(table.name)
  const named = mapping.flatMap(entity => [
    ...(isThis(entity.table)
      ? [...columnsOfKey(entity.key), ...(entity.tenant === undefined ? [] : [entity.tenant])]
      : []),
    ...entity.related
      .flatMap(stopsOf)
      .flatMap(({ table, owner }) => (isThis(table) ? columnsOfKey(owner) : [])),
  ])
  return (
    named.some(column => !table.identityColumns.includes(column)) ||
    mapping.some(
      entity =>
        isThis(entity.table) &&
        (conditionsWithoutBefore(catalogue, entity) !== null ||
          lastWithoutBefore(catalogue, entity) !== undefined),
    )
  )
}

function identity(table: Table, needsWhole: boolean, facts: SourceFacts): string[] {
  const parts = [
    { name: table.name, identity: table.identity, hasIdentity: table.identityColumns.length > 0 },
    ...table.leaves,
  ]
  return parts
    .filter(part => part.identity !== 'f' && (needsWhole || !part.hasIdentity))
    .map(({ name }) => wholeRows(table, name, facts))
}

function wholeRows(table: Table, name: TableName, facts: SourceFacts): string {
  const statement = `alter table ${tableKey(name)} replica identity full;`
  if (table.generated !== 'virtual' || !refusesUnpublished(facts)) return statement
  return comment(
    `${tableKey(name)} has virtual generated columns, with which replica identity full would make the application's UPDATE fail: give it a primary key with the columns that the mapping names as key, as owner and in conditions`,
  )
}

/** Before the identities: if one has unpublished generated columns, an UPDATE fails. */
function publicationSettings(
  facts: SourceFacts,
  tables: readonly Table[],
  { publicationName }: Options,
): string[] {
  const found = facts.publication
  if (!found || found.isForAllTables) return []
  const isPartitioned = tables.some(({ kind }) => kind === 'p')
  const settings = [
    ...(found.publishesAll ? [] : ["publish = 'insert, update, delete, truncate'"]),
    ...(!found.viaRoot && isPartitioned ? ['publish_via_partition_root = true'] : []),
    ...(found.publishesGenerated || !refusesUnpublished(facts) ? [] : ['publish_generated_columns = stored']),
  ]
  return settings.length === 0 ? [] : [`alter publication ${publicationName} set (${settings.join(', ')});`]
}

function publication(
  facts: SourceFacts,
  tables: readonly Table[],
  { mapping, publicationName }: Options,
): string[] {
  const found = facts.publication
  const there = new Set(tables.map(({ name }) => tableKey(name)))
  const missing = publishedTables(mapping).filter(name => !there.has(tableKey(name)))
  if (missing.length > 0)
    return [
      comment(`The publication cannot be created: there is no table ${missing.map(tableKey).join(', ')}`),
    ]
  if (!found) {
    const create = createPublication(publicationName, mapping, facts)
    return facts.slot
      ? [
          comment(
            `The slot exists, but the publication does not. Do first what walhook check says. Then: ${create}`,
          ),
        ]
      : [create]
  }
  if (found.isForAllTables)
    return [`drop publication ${publicationName};`, createPublication(publicationName, mapping, facts)]
  const published = new Set(found.tables.map(tableKey))
  const lacking = [...there].filter(key => !published.has(key))
  const mustReplace =
    found.schemas.length > 0 ||
    found.tables.some(({ hasFilter, hasColumnList }) => hasFilter || hasColumnList)
  return [
    ...(mustReplace
      ? [`alter publication ${publicationName} set table ${[...there].join(', ')};`]
      : lacking.length === 0
        ? []
        : [`alter publication ${publicationName} add table ${lacking.join(', ')};`]),
  ]
}

/** Earlier values of updates, as a comment: they cost WAL. */
function previousValues(table: Table, required: readonly string[], facts: SourceFacts): string[] {
  if (givesPrevious(table)) return []
  return [{ name: table.name, identity: table.identity }, ...table.leaves]
    .filter(part => part.identity !== 'f')
    .map(({ name }) => wholeRows(table, name, facts))
    .filter(statement => statement.startsWith('alter') && !required.includes(statement))
    .map(comment)
}
