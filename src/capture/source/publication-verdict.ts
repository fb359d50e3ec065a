import {
  type EntityMapping,
  publishedTables,
  type TableName,
  tableKey,
} from '../../domain/mapping/mapping.ts'
import type { Catalogue } from './catalogue.ts'
import { harm, refusesUnpublished, type SourceFacts, type TableProblem } from './preflight-verdict.ts'

/** The publication, where it is there already; else whether this role can make it. */
export function judgePublication(
  facts: SourceFacts,
  catalogue: Catalogue,
  options: { mapping: readonly EntityMapping[]; publicationName: string },
): TableProblem[] {
  const { publication } = facts
  const { mapping, publicationName } = options
  const what = `publication ${publicationName}`
  const wanted = publishedTables(mapping)
  const create = createPublication(publicationName, mapping, facts)
  if (!publication) {
    // Where there is a slot, it was made for a publication that is gone: that is a gap, and judged as one.
    if (facts.slot) return []
    const notOwned = wanted.map(tableKey).filter(table => catalogue.tables.get(table)?.isOwned === false)
    if (facts.mayCreate && notOwned.length === 0) return []
    const found = facts.mayCreate
      ? `missing, and role ${facts.role} may not create it, because it does not own ${notOwned.join(', ')}`
      : `missing, and role ${facts.role} may not create one in database ${facts.database}`
    return [{ code: 'publication_missing', what, found, mend: `run as the owner of the tables: ${create}` }]
  }
  const problems: TableProblem[] = []
  if (publication.isForAllTables)
    problems.push({
      code: 'publication_all_tables',
      what,
      found: 'FOR ALL TABLES',
      mend: `walhook's own tables would feed themselves. Run: drop publication ${publicationName}; ${create}`,
    })
  if (!publication.publishesAll)
    problems.push({
      code: 'publication_kinds',
      what,
      found: 'does not publish all of insert, update, delete and truncate',
      mend: `run: alter publication ${publicationName} set (publish = 'insert, update, delete, truncate');`,
    })
  const published = new Set(publication.tables.map(tableKey))
  const isPartitioned = (table: TableName) => catalogue.tables.get(tableKey(table))?.kind === 'p'
  if (!publication.viaRoot && wanted.some(isPartitioned))
    problems.push({
      code: 'publication_via_root',
      what,
      found: `tells the changes of partitions as their own, not as those of ${wanted.filter(isPartitioned).map(tableKey).join(', ')}`,
      mend: `run: alter publication ${publicationName} set (publish_via_partition_root = true);`,
    })
  // A table that is not there is judged as that: it can't be added to a publication.
  const there = wanted.filter(table => catalogue.tables.has(tableKey(table)))
  const missing = there
    .filter(table => publication.viaRoot || !isPartitioned(table))
    .map(tableKey)
    .filter(table => !published.has(table))
  const partitions = missing.filter(table => publication.viaRoot && catalogue.tables.get(table)?.isPartition)
  if (missing.length > 0 && !publication.isForAllTables)
    problems.push({
      code: 'publication_table_missing',
      what,
      found: `without ${missing.join(', ')}`,
      mend: `run: alter publication ${publicationName} add table ${missing.join(', ')};${partitions.length > 0 ? ` A partition of a published table is told as that table: map it instead of ${partitions.join(', ')}` : ''}`,
    })
  // A table can't be dropped from a publication that has it by its schema; this replaces both, in one statement.
  const setTables = `alter publication ${publicationName} set table ${there.map(tableKey).join(', ')};`
  if (publication.schemas.length > 0)
    problems.push({
      code: 'publication_schema',
      what,
      found: `FOR TABLES IN SCHEMA ${publication.schemas.join(', ')}: also those that are not mapped, and those to come`,
      mend: `without a key, ${harm}. Run: ${setTables}`,
    })
  const isWanted = new Set(wanted.map(tableKey))
  for (const table of publication.tables.filter(each => !isWanted.has(tableKey(each)))) {
    const drop = {
      code: 'publication_harms' as const,
      what: `${what}, table ${tableKey(table)}`,
      about: what,
      mend: `${harm}. Run: ${publication.schemas.length > 0 ? setTables : `alter publication ${publicationName} drop table ${tableKey(table)};`}`,
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
      found: `leaves out generated columns, which are in the replica identity of ${generated.map(tableKey).join(', ')}`,
      mend: `${harm}. Run: alter publication ${publicationName} set (publish_generated_columns = stored);`,
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
 * The statement that makes the publication: the mapped tables by name, and nothing else. With generated columns where
 * there is the choice, so that no replica identity, now or later, makes a statement of the application fail.
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
