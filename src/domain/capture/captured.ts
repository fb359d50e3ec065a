import { formatLsn, type Lsn, parseLsn } from '../value/lsn.ts'

/** A mapped table, as it is captured. */
export type CapturedTable = {
  readonly oid: number
  readonly isLogged: boolean
  /** The catalogue rows that publish it, each with its version; empty: unpublished. */
  readonly publishedBy: readonly string[]
  /** Partitions by OID, each with the catalogue rows that attach it. */
  readonly parts: Readonly<Record<string, string>>
  /**
   * The file of each of them, replaced by TRUNCATE, SET LOGGED, VACUUM FULL or any other rewrite. Older versions of walhook
   * did not store it.
   */
  readonly files?: Readonly<Record<string, number>>
  /** Stored only: the end of the WAL when the table was last captured; absent while it is captured. */
  readonly seenLsn?: string
  /** With `seenLsn`: every transaction below this id had ended. */
  readonly seenXid?: string | null
  /** Stored only: the mapping no longer contains it. */
  readonly isUnmapped?: true
  /** Stored only: it was dropped. */
  readonly isDropped?: true
}

/** The captured parts of the source. */
export type Captured = {
  readonly systemIdentifier: string
  readonly databaseOid: number
  readonly databaseName: string
  readonly timeline: number
  readonly publication: {
    readonly oid: number
    /** Changes with each ALTER PUBLICATION, except those that add or drop tables. */
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

/** `isOver`: the table is captured again, or can lose nothing more. */
export type TableLoss = {
  readonly table: string
  readonly reason: TableGapReason
  readonly detail: string
  readonly isOver: boolean
  /** The end of the WAL when the table was last known to be captured. */
  readonly fromLsn: Lsn
}

/** A new partition of a captured table: its earlier rows were never published. */
export type PartArrival = {
  readonly table: string
  readonly oid: number
  /** The end of the WAL when the table was last seen without it. */
  readonly fromLsn: Lsn
}

/** Partitions whose file was replaced, by OID: their rows may be gone, or were written unlogged. */
export type Rewrite = {
  readonly table: string
  readonly oids: readonly number[]
  readonly seenXid: string | null
}

/** Which of them have lost nothing (`kept`) or may have lost rows (`lost`), as far as known. */
export type RewriteVerdict = { readonly kept: ReadonlySet<number>; readonly lost: ReadonlySet<number> }

/** Why everything is lost, with the finding in words. */
export type SourceLoss = {
  readonly reason: 'other cluster' | 'other database' | 'publication missing' | 'publication remade'
  readonly detail: string
}

/** Whether the whole captured source was replaced; null: it was not. */
export function compareSource(before: Captured, now: Captured, publicationName: string): SourceLoss | null {
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
      detail: `the publication ${publicationName} was dropped and created again, and the slot can't read what was written without it`,
    }
  return null
}

/**
 * Compares the captured tables of then and now. A table has lost nothing if the same version of a catalogue row publishes it:
 * removing and adding it again gives another version.
 *
 * - `mapped`: the tables of the mapping; `isSound`: nothing else prevents their capture
 * - `seenLsn`: the end of the WAL when `before` was last seen; every transaction below `seenXid` had ended
 * - `droppedOids`: tables of `before` that no longer exist
 * - `rewritten`: until the verdict on a replaced partition is known, its table keeps its earlier record
 * - returns `arrivals`: new partitions of intact tables; `next`: the record to store. A table that can't be captured yet
 *   keeps its earlier record
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
    // A detached partition stays in the record: it may return.
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
      detail: 'it was dropped with all its rows, without any delete in the WAL',
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

/** The partitions whose file was replaced since they were last captured, or created. */
export function rewritten(before: Captured, now: Captured, seenXid: string | null): Rewrite[] {
  return Object.entries(now.tables).flatMap(([table, is]) => {
    const was = before.tables[table]
    const oids = was?.oid === is.oid ? rewrittenIn(was, is) : []
    if (!was || oids.length === 0) return []
    return { table, oids, seenXid: was.seenLsn === undefined ? seenXid : (was.seenXid ?? null) }
  })
}

/** The first file of a table has the table's OID as its number: another number shows a rewrite of a new partition. */
function rewrittenIn(was: CapturedTable, is: CapturedTable): number[] {
  if (!was.files) return []
  const hadFile = (oid: string) => was.files![oid] ?? (Object.hasOwn(was.parts, oid) ? null : Number(oid))
  return Object.entries(is.files ?? {})
    .filter(([oid, file]) => (hadFile(oid) ?? file) !== file)
    .map(([oid]) => Number(oid))
}

/** The tables captured at the last look. */
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
      detail: `the name belongs to another table now (OID ${table.oid}, ${was.oid} was captured): it was dropped and created again, or renamed and replaced by another one`,
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

/** Options without effect on captured changes: the owner, and generated columns, which are read from the table. */
const harmless = ['pubgencols']

/** How the publication changed so that changes of this table may be lost; null: it did not. */
function changeOfPublication(before: Captured, now: Captured, table: CapturedTable): string | null {
  const [was, is] = [before.publication, now.publication]
  if (!was || !is || was.version === is.version) return null
  const isPartitioned = Object.keys(table.parts).length > 0
  const ignored = isPartitioned ? harmless : [...harmless, 'pubviaroot']
  const names = Object.keys({ ...was.options, ...is.options }).filter(
    name => was.options[name] !== is.options[name],
  )
  const compared = names.filter(name => !ignored.includes(name))
  if (compared.length > 0) return `of the publication these options were changed: ${compared.join(', ')}`
  if (names.length > 0 || was.owner !== is.owner) return null
  return 'the publication was altered, and has the same options now: it may have had others in between'
}
