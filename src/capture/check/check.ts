import { type CheckLine, failure, ok, warning } from '../../domain/capture/check-line.ts'
import {
  type EntityMapping,
  publishedTables,
  type TableName,
  tableKey,
} from '../../domain/mapping/mapping.ts'
import type { Problem } from '../../domain/value/problem.ts'
import type { Catalogue } from '../source/catalogue.ts'
import { judgeMapping } from '../source/mapping-verdict.ts'
import { judgeServer, type PublicationFacts, type SourceFacts } from '../source/preflight-verdict.ts'
import { judgePublication } from '../source/publication-verdict.ts'
import { type LockHolder, lockedProblem } from '../source/source-locks.ts'
import type { ReplicationTrial } from '../source/try-replication.ts'
import { columnsLine } from './check-columns.ts'
import { serverLines, slotLine } from './check-server.ts'
import { conditionLine, lastLine, relationLines, tableLines, tenantLine, uniqueLine } from './check-tables.ts'

/**
 * Everything that decides whether walhook can capture a source and does no harm to it, each with its verdict: first
 * what was looked at and is as it should be or deserves a look, in a fixed order, with the problems in their places.
 */
export function checkLines(
  facts: SourceFacts,
  catalogue: Catalogue,
  options: {
    slotName: string
    publicationName: string
    mapping: readonly EntityMapping[]
    nowMs: number
    /** What came of asking for a replication connection; null: it was not asked for. */
    trial?: ReplicationTrial | null
    /** Who holds locks on mapped tables that nobody can read beside. */
    lockHolders?: readonly LockHolder[]
    /** The columns that walhook has seen before, by entity type. */
    known?: ReadonlyMap<string, ReadonlySet<string>>
    /** What the source has dropped of the mapping, in words. */
    lost?: readonly string[]
    /** Where mapped tables are now that have another name or schema. */
    moved?: ReadonlyMap<string, TableName>
  },
): CheckLine[] {
  const { mapping, slotName, publicationName, trial = null, lockHolders = [] } = options
  const problems: Problem[] = [
    ...judgeServer(facts, options),
    ...(trial && !trial.ok ? [trial.problem] : []),
    ...judgeMapping(catalogue, mapping, facts, options.moved),
    ...judgePublication(facts, catalogue, options),
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
      ? ok('publication', `publication ${publicationName}`, 'not there yet: it will be made')
      : ok('publication', `publication ${publicationName}`, publicationText(facts.publication, mapping)),
    slotLine(facts, slotName, publicationName),
    ...(options.lost ?? []).map(lostLine),
    locksLine(lockHolders),
  ].filter(line => line !== null)
  return [...withProblems(lines, problems), harmLine(problems)]
}

/** What was captured and is there no more stops nothing, and is told no more. */
function lostLine(lost: string): CheckLine {
  return warning(
    'mapping_lost',
    lost,
    'everything else goes on; what was told of it is not taken back',
    'take it out of the mapping (WALHOOK_CONFIG) once everything before it was told, and start walhook again',
  )
}

/** A problem takes the place of the line about the same thing, or the thing it is a part of; others come after. */
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
  const text = 'has every mapped table, and neither row filters nor column lists'
  return others.length === 0 ? text : `${text}; and, for nothing, ${others.join(', ')}`
}

/** An ALTER TABLE that is held open keeps capture from reading, and from making the publication. */
function locksLine(holders: readonly LockHolder[]): CheckLine {
  const what = 'locks of mapped tables'
  if (holders.length === 0) return ok('locks', what, 'none that keeps others from reading')
  const { found, mend } = lockedProblem(what, holders)
  return warning('locks', what, found, mend)
}

/** What makes, or can make, a statement of the application fail. */
const harmful: ReadonlySet<string> = new Set([
  'no_identity',
  'virtual_in_identity',
  'future_partitions',
  'publication_filter',
  'publication_generated',
  'publication_harms',
  'publication_schema',
])

/** Whether any statement of the application can fail because a table is published. */
function harmLine(problems: readonly Problem[]): CheckLine {
  const what = "the application's statements"
  const found = problems.filter(({ code }) => code !== undefined && harmful.has(code))
  if (found.length === 0) return ok('harm', what, 'none can fail because of walhook')
  const tables = found.map(problem => problem.what).join('; ')
  return failure({
    code: 'harm',
    what,
    found: `UPDATE or DELETE would fail: ${tables}`,
    mend: 'mend these first',
  })
}
