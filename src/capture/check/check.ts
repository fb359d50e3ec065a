import { type CheckLine, failure, ok, warning } from '../../domain/capture/check-line.ts'
import { type Lost, lostSentence } from '../../domain/capture/lost-texts.ts'
import {
  type EntityMapping,
  publishedTables,
  type TableName,
  tableKey,
} from '../../domain/mapping/mapping.ts'
import type { Problem } from '../../domain/value/problem.ts'
import { type LockHolder, lockedProblem } from '../source/source-locks.ts'
import type { ReplicationTrial } from '../source/try-replication.ts'
import type { Catalogue } from '../verdict/catalogue.ts'
import { checkMapping } from '../verdict/mapping-verdict.ts'
import { checkServer, type PublicationFacts, type SourceFacts } from '../verdict/preflight-verdict.ts'
import { checkPublication } from '../verdict/publication-verdict.ts'
import { columnsLine } from './check-columns.ts'
import { serverLines, slotLine } from './check-server.ts'
import { conditionLine, lastLine, relationLines, tableLines, tenantLine, uniqueLine } from './check-tables.ts'

/**
 * Every check of whether walhook can capture a source without harm: the lines in a fixed order, with each problem in its
 * place.
 */
export function checkLines(
  facts: SourceFacts,
  catalogue: Catalogue,
  options: {
    slotName: string
    publicationName: string
    mapping: readonly EntityMapping[]
    nowMs: number
    /** The result of opening a replication connection; null: not tried. */
    trial?: ReplicationTrial | null
    /** Sessions whose locks on mapped tables block reading. */
    lockHolders?: readonly LockHolder[]
    /** The columns of earlier looks, by entity type. */
    known?: ReadonlyMap<string, ReadonlySet<string>>
    /** The mapping's objects that the source has dropped, in words. */
    lost?: readonly Lost[]
    /** The present names of renamed or moved tables. */
    moved?: ReadonlyMap<string, TableName>
  },
): CheckLine[] {
  const { mapping, slotName, publicationName, trial = null, lockHolders = [] } = options
  const problems: Problem[] = [
    ...checkServer(facts, options),
    ...(trial && !trial.ok ? [trial.problem] : []),
    ...checkMapping(catalogue, mapping, facts, options.moved),
    ...checkPublication(facts, catalogue, options),
  ]
  const lines = [
    ...serverLines(facts, trial, options.nowMs),
    ...publishedTables(mapping).flatMap(table =>
      tableLines(catalogue, tableKey(table), publicationName, facts),
    ),
    ...mapping.flatMap(entity => [
      uniqueLine(catalogue, entity),
      conditionLine(catalogue, entity),
      lastLine(catalogue, entity),
      tenantLine(catalogue, entity),
      ...relationLines(catalogue, entity, facts),
    ]),
    ...mapping.map(entity => columnsLine(catalogue, entity, options.known?.get(entity.entityType) ?? null)),
    facts.publication === null
      ? ok('publication', `publication ${publicationName}`, 'does not exist yet: walhook will create it')
      : ok('publication', `publication ${publicationName}`, publicationText(facts.publication, mapping)),
    slotLine(facts, slotName, publicationName),
    ...(options.lost ?? []).map(lostLine),
    locksLine(lockHolders),
  ].filter(line => line !== null)
  return [...withProblems(lines, problems), failureLine(problems)]
}

/** A dropped table stops nothing, and has no more events. */
function lostLine(lost: Lost): CheckLine {
  return warning(
    'mapping_lost',
    lostSentence(lost),
    'walhook continues with everything else, and takes no sent event back',
    'remove it from the mapping (WALHOOK_CONFIG) once all earlier events are sent, and restart walhook',
  )
}

/** A problem replaces the line about the same object or its whole; others follow. */
function withProblems(lines: readonly CheckLine[], problems: readonly Problem[]): CheckLine[] {
  const isAbout = (line: CheckLine) => (problem: Problem) =>
    problem.what === line.what || problem.about === line.what
  const placed = lines.flatMap(line => {
    const own = problems.filter(isAbout(line))
    return own.length > 0 ? own.map(failure) : [line]
  })
  return [...placed, ...problems.filter(problem => !lines.some(line => isAbout(line)(problem))).map(failure)]
}

function publicationText(publication: PublicationFacts, mapping: readonly EntityMapping[]): string {
  const wanted = new Set(publishedTables(mapping).map(tableKey))
  const others = publication.tables.map(tableKey).filter(table => !wanted.has(table))
  const text = 'contains every mapped table, without row filters and column lists'
  return others.length === 0 ? text : `${text}; also unmapped tables: ${others.join(', ')}`
}

/** An open ALTER TABLE blocks reading, and creating the publication. */
function locksLine(holders: readonly LockHolder[]): CheckLine {
  const what = 'locks of mapped tables'
  if (holders.length === 0) return ok('locks', what, 'none that blocks reading')
  const { found, mend } = lockedProblem(what, holders)
  return warning('locks', what, found, mend)
}

/** Problems that make, or can make, a statement of the application fail. */
const failing: ReadonlySet<string> = new Set([
  'no_identity',
  'virtual_in_identity',
  'future_partitions',
  'publication_filter',
  'publication_generated',
  'publication_harms',
  'publication_schema',
])

/** Whether publishing a table can make a statement of the application fail. */
function failureLine(problems: readonly Problem[]): CheckLine {
  const what = "the application's statements"
  const found = problems.filter(({ code }) => code !== undefined && failing.has(code))
  if (found.length === 0) return ok('harm', what, 'none fails because of walhook')
  const tables = found.map(problem => problem.what).join('; ')
  return failure({
    code: 'harm',
    what,
    found: `UPDATE or DELETE would fail: ${tables}`,
    mend: 'fix these first',
  })
}
