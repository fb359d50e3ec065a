import {
  type EntityMapping,
  publishedTables,
  type TableName,
  tableKey,
} from '../../domain/mapping/mapping.ts'
import type { Catalogue } from './catalogue.ts'
import { refusesUnpublished, type SourceFacts, type TableProblem, wouldFail } from './preflight-verdict.ts'

type Input = {
  readonly facts: SourceFacts
  readonly publication: NonNullable<SourceFacts['publication']>
  readonly catalogue: Catalogue
  readonly wanted: readonly TableName[]
  /** Its name in problems. */
  readonly what: string
  readonly publicationName: string
  /** Replaces tables and schemas in one statement: a table that its schema publishes can't be dropped alone. */
  readonly setTables: string
}

/** The publication, if it exists; otherwise whether this role can create it. */
export function checkPublication(
  facts: SourceFacts,
  catalogue: Catalogue,
  options: { mapping: readonly EntityMapping[]; publicationName: string },
): TableProblem[] {
  const { publication } = facts
  const { mapping, publicationName } = options
  const wanted = publishedTables(mapping)
  const create = createPublication(publicationName, mapping, facts)
  if (!publication) return checkMissing(facts, catalogue, { wanted, publicationName, create })
  const there = wanted.filter(table => catalogue.tables.has(tableKey(table)))
  const setTables = `alter publication ${publicationName} set table ${there.map(tableKey).join(', ')};`
  const what = `publication ${publicationName}`
  const input = { facts, publication, catalogue, wanted, what, publicationName, setTables }
  const problems: TableProblem[] = []
  if (publication.isForAllTables)
    problems.push({
      code: 'publication_all_tables',
      what,
      found: 'FOR ALL TABLES',
      mend: `walhook would capture its own tables. Run: drop publication ${publicationName}; ${create}`,
    })
  return [...problems, ...checkOptions(input), ...checkWanted(input), ...checkOthers(input)]
}

/** Whether this role can create the publication with all tables. */
function checkMissing(
  facts: SourceFacts,
  catalogue: Catalogue,
  {
    wanted,
    publicationName,
    create,
  }: { wanted: readonly TableName[]; publicationName: string; create: string },
): TableProblem[] {
  // With a slot, its publication was dropped: a gap, and checked as one.
  if (facts.slot) return []
  const notOwned = wanted.map(tableKey).filter(table => catalogue.tables.get(table)?.isOwned === false)
  if (facts.mayCreate && notOwned.length === 0) return []
  const found = facts.mayCreate
    ? `missing, and role ${facts.role} may not create it, because it does not own ${notOwned.join(', ')}`
    : `missing, and role ${facts.role} may not create one in database ${facts.database}`
  return [
    {
      code: 'publication_missing',
      what: `publication ${publicationName}`,
      found,
      mend: `run as the owner of the tables: ${create}`,
    },
  ]
}

const isPartitioned = ({ catalogue }: Input, table: TableName) =>
  catalogue.tables.get(tableKey(table))?.kind === 'p'

/** The published kinds of changes, and under which names. */
function checkOptions(input: Input): TableProblem[] {
  const { publication, wanted, what, publicationName } = input
  const problems: TableProblem[] = []
  if (!publication.publishesAll)
    problems.push({
      code: 'publication_kinds',
      what,
      found: 'does not publish all of insert, update, delete and truncate',
      mend: `run: alter publication ${publicationName} set (publish = 'insert, update, delete, truncate');`,
    })
  const partitioned = wanted.filter(table => isPartitioned(input, table))
  if (!publication.viaRoot && partitioned.length > 0)
    problems.push({
      code: 'publication_via_root',
      what,
      found: `publishes changes of partitions as their own, not as those of ${partitioned.map(tableKey).join(', ')}`,
      mend: `run: alter publication ${publicationName} set (publish_via_partition_root = true);`,
    })
  return problems
}

/** The mapped tables: a missing table is reported as such, and can't be added. */
function checkWanted(input: Input): TableProblem[] {
  const { publication, catalogue, wanted, what, publicationName } = input
  const published = new Set(publication.tables.map(tableKey))
  const missing = wanted
    .filter(table => catalogue.tables.has(tableKey(table)))
    .filter(table => publication.viaRoot || !isPartitioned(input, table))
    .map(tableKey)
    .filter(table => !published.has(table))
  if (missing.length === 0 || publication.isForAllTables) return []
  const partitions = missing.filter(table => publication.viaRoot && catalogue.tables.get(table)?.isPartition)
  return [
    {
      code: 'publication_table_missing',
      what,
      found: `without ${missing.join(', ')}`,
      mend: `run: alter publication ${publicationName} add table ${missing.join(', ')};${partitions.length > 0 ? ` Postgres publishes changes of a partition as those of its published table: map that table instead of ${partitions.join(', ')}` : ''}`,
    },
  ]
}

/** Published tables that make statements of the application fail, or add or omit changes. */
function checkOthers({
  facts,
  publication,
  wanted,
  what,
  publicationName,
  setTables,
}: Input): TableProblem[] {
  const problems: TableProblem[] = []
  if (publication.schemas.length > 0)
    problems.push({
      code: 'publication_schema',
      what,
      found: `FOR TABLES IN SCHEMA ${publication.schemas.join(', ')}: also unmapped and future tables`,
      mend: `without a key, ${wouldFail}. Run: ${setTables}`,
    })
  const isWanted = new Set(wanted.map(tableKey))
  for (const table of publication.tables.filter(each => !isWanted.has(tableKey(each)))) {
    const drop = {
      code: 'publication_harms' as const,
      what: `${what}, table ${tableKey(table)}`,
      about: what,
      mend: `${wouldFail}. Run: ${publication.schemas.length > 0 ? setTables : `alter publication ${publicationName} drop table ${tableKey(table)};`}`,
    }
    if (table.withoutIdentity.length > 0)
      problems.push({
        ...drop,
        found: `not mapped, and without a replica identity: ${table.withoutIdentity.join(', ')}`,
      })
    if (table.generatedInIdentity === 'virtual' && refusesUnpublished(facts))
      problems.push({
        ...drop,
        found: 'not mapped, and with virtual generated columns in its replica identity',
      })
  }
  const generated = publication.tables.filter(each => each.generatedInIdentity === 'stored')
  if (generated.length > 0 && !publication.publishesGenerated && refusesUnpublished(facts))
    problems.push({
      code: 'publication_generated',
      what,
      found: `leaves out generated columns of the replica identity of ${generated.map(tableKey).join(', ')}`,
      mend: `${wouldFail}. Run: alter publication ${publicationName} set (publish_generated_columns = stored);`,
    })
  for (const table of publication.tables.filter(({ hasFilter, hasColumnList }) => hasFilter || hasColumnList))
    problems.push({
      code: 'publication_filter',
      what: `${what}, table ${tableKey(table)}`,
      about: what,
      found: table.hasFilter ? 'a row filter' : 'a column list',
      mend: `either can make the application's own UPDATE fail; choose fields in walhook's mapping instead. Run: ${setTables}`,
    })
  return problems
}

/**
 * The statement that creates the publication: the mapped tables by name, and nothing else. With generated columns if
 * possible, so that no replica identity makes a statement of the application fail.
 * https://www.postgresql.org/docs/18/sql-createpublication.html#SQL-CREATEPUBLICATION-PARAMS-WITH-PUBLISH-GENERATED-COLUMNS
 */
export function createPublication(
  publicationName: string,
  mapping: readonly EntityMapping[],
  facts: Pick<SourceFacts, 'serverVersion'>,
): string {
  const tables = publishedTables(mapping).map(tableKey).join(', ')
  const generated = refusesUnpublished(facts) ? ', publish_generated_columns = stored' : ''
  return `create publication ${publicationName} for table ${tables} with (publish_via_partition_root = true${generated});`
}
