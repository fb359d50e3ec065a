import { formatLsn, type Lsn, parseLsn } from '../value/lsn.ts'

/** A mapped table as it is captured. */
export type CapturedTable = {
  readonly oid: number
  readonly isLogged: boolean
  /** The rows of the catalogue that publish it, each by its version; none: it is not published. */
  readonly publishedBy: readonly string[]
  /** Of a partitioned table: its partitions by OID, and by which rows of the catalogue each belongs to it. */
  readonly parts: Readonly<Record<string, string>>
  /**
   * The file of each of these: another one after TRUNCATE, SET LOGGED, VACUUM FULL or any other rewriting. Not in what an older
   * walhook remembers.
   */
  readonly files?: Readonly<Record<string, number>>
  /** In what is remembered only: where the WAL ended when it was last captured, while it is not. */
  readonly seenLsn?: string
  /** With it: every transaction below this id had ended then. */
  readonly seenXid?: string | null
  /** In what is remembered only: true once the mapping has left it out. */
  readonly isUnmapped?: true
  /** In what is remembered only: true once it was found to be dropped. */
  readonly isDropped?: true
}

/** What of the source is captured. */
export type Captured = {
  readonly systemIdentifier: string
  readonly databaseOid: number
  readonly databaseName: string
  readonly timeline: number
  readonly publication: {
    readonly oid: number
    /** Another one for each ALTER PUBLICATION, but those that add or drop tables. */
    readonly version: string
    readonly owner: number
    readonly options: Readonly<Record<string, unknown>>
  } | null
  readonly tables: Readonly<Record<string, CapturedTable>>
}

/** Why changes of one table are lost: reasons of `walhook.gaps`. */
export type TableGapReason =
  | 'publication changed'
  | 'table replaced'
  | 'table unpublished'
  | 'table unlogged'
  | 'table unmapped'
  | 'table dropped'
  | 'partition detached'
  | 'partition rewritten'
  | 'rows unreadable'

/** `isOver`: it is captured again, or there is nothing more to be lost. */
export type TableLoss = {
  readonly table: string
  readonly reason: TableGapReason
  readonly detail: string
  readonly isOver: boolean
  /** Where the WAL ended when it was last seen to be captured. */
  readonly fromLsn: Lsn
}

/** A partition that a captured table has had since the last look: its rows of before were in no publication. */
export type PartArrival = {
  readonly table: string
  readonly oid: number
  /** Where the WAL ended when the table was last seen without it. */
  readonly fromLsn: Lsn
}

/** Partitions with another file than before, by their OIDs: what they held may be gone, or written unlogged. */
export type Rewrite = {
  readonly table: string
  readonly oids: readonly number[]
  readonly seenXid: string | null
}

/** Which of these, as far as that is known yet, have lost nothing (`kept`), or may have (`lost`). */
export type RewriteVerdict = { readonly kept: ReadonlySet<number>; readonly lost: ReadonlySet<number> }

/** Why everything is lost, with what was found in words. */
export type SourceLoss = {
  readonly reason: 'other cluster' | 'other database' | 'publication missing' | 'publication remade'
  readonly detail: string
}

/** The captured source was exchanged as a whole, so that no table of it can go on; null: it was not. */
export function judgeSource(before: Captured, now: Captured, publicationName: string): SourceLoss | null {
  if (before.systemIdentifier !== now.systemIdentifier)
    return {
      reason: 'other cluster',
      detail: `DATABASE_URL leads to the cluster ${now.systemIdentifier}, and ${before.systemIdentifier} was captured so far`,
    }
  if (before.databaseOid !== now.databaseOid)
    return {
      reason: 'other database',
      detail: `DATABASE_URL leads to the database ${now.databaseName} with OID ${now.databaseOid}, and ${before.databaseName} with OID ${before.databaseOid} was captured so far`,
    }
  if (before.publication && !now.publication)
    return {
      reason: 'publication missing',
      detail: `the publication ${publicationName} was dropped, and the slot can't read what was written without it`,
    }
  if (before.publication && now.publication && before.publication.oid !== now.publication.oid)
    return {
      reason: 'publication remade',
      detail: `the publication ${publicationName} was dropped and made anew, and the slot can't read what was written without it`,
    }
  return null
}

/**
 * Compares what was captured with what is captured now, table by table. Nothing is lost where the same version of a row of
 * the catalogue publishes a table now as then: what was taken out and put back is another version. `mapped` are the tables
 * that the mapping names; `isSound`: nothing else is in the way of capturing them;
 * `seenLsn` is where the WAL ended when `before` was last seen, and below `seenXid` every transaction had ended; `droppedOids` are
 * tables of `before` that are there no more. While it is not known what was done to a partition that has another file (`rewritten`),
 * its table is remembered as it was.
 *
 * `arrivals` are partitions of a table that has lost nothing, and that came since. `next` is what to remember. A table that can't be captured yet is remembered as it was, so that nothing is forgotten.
 */
export function compareCaptured(
  before: Captured,
  now: Captured,
  options: {
    mapped: readonly string[]
    isSound: boolean
    seenLsn: Lsn
    seenXid: string | null
    droppedOids?: readonly number[]
    verdict?: RewriteVerdict
  },
): { losses: readonly TableLoss[]; arrivals: readonly PartArrival[]; next: Captured } {
  const { mapped, isSound, seenLsn, seenXid, droppedOids = [], verdict = nothingKnown } = options
  const losses: TableLoss[] = []
  const arrivals: PartArrival[] = []
  const tables: Record<string, CapturedTable> = Object.fromEntries(
    Object.entries(before.tables).map(([name, table]) => [
      name,
      {
        ...(table.seenLsn === undefined && { seenLsn: formatLsn(seenLsn), seenXid }),
        ...table,
        ...(!mapped.includes(name) && { isUnmapped: true as const }),
      },
    ]),
  )
  for (const [name, table] of Object.entries(now.tables)) {
    const was = before.tables[name]
    const files = was ? rewrittenIn(was, table) : []
    const lostFiles = files.filter(oid => verdict.lost.has(oid))
    const loss = was
      ? (lossOf(was, table, changeOfPublication(before, now, was)) ?? lossByRewriting(lostFiles))
      : null
    const isPending = !loss && files.some(oid => !verdict.kept.has(oid))
    const isCaptured = isSound && table.isLogged && table.publishedBy.length > 0 && !isPending
    const fromLsn = was?.seenLsn === undefined ? seenLsn : parseLsn(was.seenLsn)
    if (was && loss) losses.push({ table: name, ...loss, isOver: isCaptured, fromLsn })
    else if (was && isCaptured) arrivals.push(...arrivalsIn(name, was, table, fromLsn))
    // A partition that has left is remembered: it may return.
    if (isCaptured)
      tables[name] = {
        ...table,
        parts: { ...(was?.oid === table.oid && was.parts), ...table.parts },
        ...(table.files && { files: { ...(was?.oid === table.oid && was.files), ...table.files } }),
      }
  }
  for (const [name, was] of Object.entries(before.tables)) {
    if (now.tables[name] || was.isDropped || !mapped.includes(name) || !droppedOids.includes(was.oid))
      continue
    losses.push({
      table: name,
      reason: 'table dropped',
      detail: 'it was dropped with all that it held, of which no deletes are in the WAL',
      isOver: true,
      fromLsn: was.seenLsn === undefined ? seenLsn : parseLsn(was.seenLsn),
    })
    tables[name] = { ...tables[name]!, isDropped: true }
  }
  return {
    losses,
    arrivals,
    next: { ...now, publication: isSound ? now.publication : before.publication, tables },
  }
}

const nothingKnown: RewriteVerdict = { kept: new Set(), lost: new Set() }

/** The partitions of tables that have another file now than when they were last captured, or than when they were made. */
export function rewritten(before: Captured, now: Captured, seenXid: string | null): Rewrite[] {
  return Object.entries(now.tables).flatMap(([table, is]) => {
    const was = before.tables[table]
    const oids = was?.oid === is.oid ? rewrittenIn(was, is) : []
    if (!was || oids.length === 0) return []
    return { table, oids, seenXid: was.seenLsn === undefined ? seenXid : (was.seenXid ?? null) }
  })
}

/** A table's first file has the number of the table: that of a partition that has come shows whether it was rewritten since. */
function rewrittenIn(was: CapturedTable, is: CapturedTable): number[] {
  if (!was.files) return []
  const hadFile = (oid: string) => was.files![oid] ?? (Object.hasOwn(was.parts, oid) ? null : Number(oid))
  return Object.entries(is.files ?? {})
    .filter(([oid, file]) => (hadFile(oid) ?? file) !== file)
    .map(([oid]) => Number(oid))
}

/** Those that were captured at the last look. */
export function capturedTables({ tables }: Captured): string[] {
  return Object.keys(tables).filter(name => tables[name]!.seenLsn === undefined)
}

function arrivalsIn(table: string, was: CapturedTable, now: CapturedTable, fromLsn: Lsn): PartArrival[] {
  return Object.keys(now.parts)
    .filter(oid => !Object.hasOwn(was.parts, oid))
    .map(oid => ({ table, oid: Number(oid), fromLsn }))
}

type Loss = Pick<TableLoss, 'reason' | 'detail'>

function lossOf(was: CapturedTable, table: CapturedTable, publicationChange: string | null): Loss | null {
  if (was.oid !== table.oid)
    return {
      reason: 'table replaced',
      detail: `the name belongs to another table now (OID ${table.oid}, ${was.oid} was captured): it was dropped and made anew, or renamed and another one put in its place`,
    }
  if (was.isUnmapped)
    return { reason: 'table unmapped', detail: 'the mapping had left it out, and names it again' }
  if (publicationChange !== null) return { reason: 'publication changed', detail: publicationChange }
  if (!was.publishedBy.some(row => table.publishedBy.includes(row)))
    return {
      reason: 'table unpublished',
      detail:
        table.publishedBy.length > 0
          ? 'it has left the publication and returned, or got another row filter or column list'
          : 'it has left the publication',
    }
  if (!table.isLogged)
    return { reason: 'table unlogged', detail: 'what is written to an unlogged table is not in the WAL' }
  const moved = Object.entries(table.parts).filter(([oid, row]) => (was.parts[oid] ?? row) !== row)
  if (moved.length > 0)
    return {
      reason: 'partition detached',
      detail: `of its partitions, ${moved.map(([oid]) => `OID ${oid}`).join(', ')} were detached and attached again`,
    }
  return null
}

function lossByRewriting(oids: readonly number[]): Loss | null {
  if (oids.length === 0) return null
  return {
    reason: 'partition rewritten',
    detail: `of its partitions, ${oids.map(oid => `OID ${oid}`).join(', ')} were emptied by a TRUNCATE of their own, unlogged for a while, or rewritten with none of their rows as it was`,
  }
}

/** Options whose change loses nothing: which role owns it, and generated columns, which are read from the table. */
const harmless = ['pubgencols']

/** How the publication was changed since, so that changes of this table may be lost; null: it was not. */
function changeOfPublication(before: Captured, now: Captured, table: CapturedTable): string | null {
  const [was, is] = [before.publication, now.publication]
  if (!was || !is || was.version === is.version) return null
  const isPartitioned = Object.keys(table.parts).length > 0
  const ignored = isPartitioned ? harmless : [...harmless, 'pubviaroot']
  const names = Object.keys({ ...was.options, ...is.options }).filter(
    name => was.options[name] !== is.options[name],
  )
  const telling = names.filter(name => !ignored.includes(name))
  if (telling.length > 0) return `of the publication these options were changed: ${telling.join(', ')}`
  if (names.length > 0 || was.owner !== is.owner) return null
  return 'the publication was altered, and has the same options now: it may have had others in between'
}
