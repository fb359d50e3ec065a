import { unchanged, type Value } from '../../domain/capture/change.ts'
import { type EntityMapping, isRead, type RelatedList } from '../../domain/mapping/mapping.ts'
import { type Lsn, parseLsn } from '../../domain/value/lsn.ts'
import { sleep } from '../../runtime/sleep.ts'
import { readExisting } from '../related/read-existing.ts'
import type { Source } from '../source/source.ts'
import type { TransactionPart } from '../stream/batch.ts'
import { createReceived, StreamOver } from '../stream/visibility.ts'
import type { Catalogue } from '../verdict/catalogue.ts'
import type { ChangedEntity } from './changed-entities.ts'
import { type RelatedValue, readRelated, readRows } from './read-back.ts'
import type { ShapedRow } from './result.ts'
import type { Shapes } from './shape.ts'

/** Columns to read from the table, by name: `all` if the WAL has none. */
type Columns = ReadonlySet<string> | 'all'

/** Until `until`, events may contain older values than were already sent. */
type ReadAhead = { readonly until: Lsn; readonly columns: Columns }

/** The columns to read from the table, including those that an earlier event sent in a newer state. */
type Wanted = { readonly ifThere: Columns; readonly ifGone: Columns }

/** The values read for a batch. */
export type Missing = {
  /** The end of the WAL when rows had been read; null: none were. */
  readonly readLsn: Lsn | null
  /** Whether part of its row comes from the table. */
  isReadBack(item: ChangedEntity): boolean
  /** The row to send: the WAL's, completed from the table; null: it is gone. */
  rowOf(item: ChangedEntity): ShapedRow | null
  /** A related list; null: unreadable; undefined: no rows shown. */
  relatedOf(list: RelatedList, owner: string): RelatedValue | null | undefined
}

const prunedAt = 10_000
const longestWaitMs = 100

/**
 * Creates the function that reads what the WAL lacks: related lists, rows with only related changes, and TOASTed or generated
 * values. One query per table for all transactions given together. It reads the present state, which needs two guards:
 *
 * - against values older than the change: the stream may bring a transaction before it is visible (`visibility.ts`), and no
 *   later event would correct them. So reading waits until all are visible.
 * - against values newer than later changes, whose events would then be older. So an entity that was read once is read again
 *   for its events up to the end of the WAL at that time. After a restart, up to `readBefore`, that is every entity.
 */
export function createMissingReader(options: {
  source: Source
  /** The greatest `readLsn` of stored events. */
  readBefore: Lsn | null
  signal?: AbortSignal | undefined
}) {
  const { pool } = options.source
  const received = createReceived()
  const readAhead = createReadAhead(options.readBefore ?? 0n)

  async function countUnseen(): Promise<number> {
    const { rows } = await pool.query('select pg_current_snapshot()::text as snapshot')
    return received.unseen(rows[0].snapshot).length
  }

  async function untilAllIsSeen(): Promise<void> {
    for (let waitMs = 1; (await countUnseen()) > 0; waitMs = Math.min(2 * waitMs, longestWaitMs)) {
      await sleep(waitMs, options.signal)
      if (options.signal?.aborted)
        throw new StreamOver('the stream has ended while a transaction of it was not to be seen yet')
    }
  }

  async function walEnd(): Promise<Lsn> {
    const { rows } = await pool.query('select pg_current_wal_insert_lsn() as lsn')
    return parseLsn(rows[0].lsn)
  }

  return async (
    parts: readonly TransactionPart[],
    items: readonly ChangedEntity[],
    { catalogue, shapes, maxBytes }: { catalogue: Catalogue; shapes: Shapes; maxBytes: number },
  ): Promise<Missing> => {
    for (const { xid, changes } of parts) if (changes.length > 0) received.note(xid)
    if (parts[0]) readAhead.dropPassed(parts[0].commitLsn)
    const wanted = columnsToRead(items, shapes, readAhead)
    const present = items.filter(({ folded, mayRemain }) => folded.state !== 'delete' || mayRemain)
    const withLists = present.filter(({ entity }) => entity.related.length > 0)
    if (wanted.size + withLists.length > 0) await untilAllIsSeen()
    else if (received.size() > prunedAt) await countUnseen()

    const from = { pool, catalogue, maxBytes }
    const rows = await readRowsOf(wanted, from)
    const until = wanted.size > 0 ? await walEnd() : null
    // Nothing was sent of a deleted row.
    if (until !== null)
      for (const [{ entity, key }, { ifThere: columns }] of wanted)
        if (rows.of(entity, key!)) readAhead.note(entity, key!, { until, columns })
    const relatedOf = await readListsOf(withLists, from)
    return {
      readLsn: until,
      isReadBack: item => wanted.has(item),
      rowOf(item) {
        const because = wanted.has(item) ? rows.brokenBecause(item.entity, item.key!) : undefined
        if (because !== undefined) throw new Error(`its row cannot be read: ${because}`)
        const present = rows.of(item.entity, item.key!)
        const columns = wanted.get(item)?.[present ? 'ifThere' : 'ifGone'] ?? none
        return rowOf(item, shapes, columns, present)
      },
      relatedOf,
    }
  }
}

/** Sent values that are newer than changes still to come. */
function createReadAhead(readBefore: Lsn) {
  const readAhead = new Map<EntityMapping, Map<string, ReadAhead>>()
  return {
    note(entity: EntityMapping, key: string, read: ReadAhead): void {
      const byKey = readAhead.get(entity) ?? new Map<string, ReadAhead>()
      readAhead.set(entity, byKey.set(key, read))
    },
    dropPassed(first: Lsn): void {
      for (const [entity, byKey] of readAhead) {
        for (const [key, { until }] of byKey) if (until <= first) byKey.delete(key)
        if (byKey.size === 0) readAhead.delete(entity)
      }
    },
    /** The columns that an event before `lsn` may have sent in a newer state. */
    columnsOf(entity: EntityMapping, key: string, lsn: Lsn): Columns {
      if (lsn < readBefore) return 'all'
      const carried = readAhead.get(entity)?.get(key)
      return carried !== undefined && carried.until > lsn ? carried.columns : none
    },
  }
}

/** The columns to read for each item. Absent: none. */
function columnsToRead(
  items: readonly ChangedEntity[],
  shapes: Shapes,
  readAhead: ReturnType<typeof createReadAhead>,
): Map<ChangedEntity, Wanted> {
  const wanted = new Map<ChangedEntity, Wanted>()
  const before = new Map<EntityMapping, Map<string, Columns>>()
  for (const item of items) {
    const { entity, key, part, folded } = item
    if (key === null) continue
    const sentBefore = readAhead.columnsOf(entity, key, part.commitLsn)
    const isGone = folded.state === 'delete' && !item.mayRemain
    const unknown = isGone ? none : unknownColumns(item, shapes)
    // A new entity after a delete starts again: earlier values do not bind it.
    const ifGone = folded.state === 'new' ? unknown : union(sentBefore, unknown)
    const ifThere = union(union(sentBefore, unknown), before.get(entity)?.get(key) ?? none)
    if (ifThere !== 'all' && ifThere.size === 0) continue
    const byKey = before.get(entity) ?? new Map<string, Columns>()
    before.set(entity, byKey.set(key, ifThere))
    if (!isGone) wanted.set(item, { ifThere, ifGone })
  }
  return wanted
}

type From = { readonly pool: Source['pool']; readonly catalogue: Catalogue; readonly maxBytes: number }

/** The rows to read, with one query per table. */
async function readRowsOf(wanted: ReadonlyMap<ChangedEntity, Wanted>, { pool, catalogue, maxBytes }: From) {
  /** The keys of unreadable rows, with the reasons. */
  const broken = new Map<EntityMapping, Map<string, string>>()
  const rows = new Map<EntityMapping, ReadonlyMap<string, ShapedRow>>()
  for (const [entity, items] of Map.groupBy(wanted.keys(), item => item.entity)) {
    const read = await readExisting(
      keysOf(items),
      keys => readRows(pool, catalogue, entity, keys, maxBytes),
      (key, because) => broken.set(entity, (broken.get(entity) ?? new Map()).set(key, because)),
    )
    rows.set(entity, read ?? new Map())
  }
  return {
    of: (entity: EntityMapping, key: string) => rows.get(entity)?.get(key),
    brokenBecause: (entity: EntityMapping, key: string) => broken.get(entity)?.get(key),
  }
}

/** The related lists of these entities, with one query per list. */
async function readListsOf(
  items: readonly ChangedEntity[],
  { pool, catalogue, maxBytes }: From,
): Promise<Missing['relatedOf']> {
  const broken = new Map<RelatedList, Set<string>>()
  /** Null: the list is no longer readable. */
  const lists = new Map<RelatedList, ReadonlyMap<string, RelatedValue | null> | null>()
  for (const [entity, ofEntity] of Map.groupBy(items, item => item.entity))
    for (const list of entity.related) {
      const read = await readExisting(
        keysOf(ofEntity),
        owners => readRelated(pool, catalogue, list, owners, maxBytes),
        owner => broken.set(list, (broken.get(list) ?? new Set()).add(owner)),
      )
      lists.set(list, read)
    }
  return (list, owner) => {
    const read = lists.get(list)
    return read === null || broken.get(list)?.has(owner) ? null : read?.get(owner)
  }
}

const none: ReadonlySet<string> = new Set()

function union(a: Columns, b: Columns): Columns {
  if (a === 'all' || b === 'all') return 'all'
  if (a.size === 0) return b
  return b.size === 0 ? a : new Set([...a, ...b])
}

/** The columns that may be sent and that the WAL lacks. */
function unknownColumns({ entity, folded: { row }, relation }: ChangedEntity, shapes: Shapes): Columns {
  if (row === null || relation === null) return 'all'
  const { shape, indexes, hasGenerated } = shapes.of(relation)
  if (!hasGenerated && !row.includes(unchanged)) return none
  return new Set(
    indexes.flatMap((index, i) => {
      const { name } = shape[i]!
      const isUnknown = index === null || row[index] === unchanged
      return isUnknown && isRead(entity, name) ? name : []
    }),
  )
}

function keysOf(items: readonly ChangedEntity[]): string[] {
  return [...new Set(items.flatMap(({ key }) => key ?? []))]
}

function rowOf(
  { folded: { row }, relation }: ChangedEntity,
  shapes: Shapes,
  columns: Columns,
  present: ShapedRow | undefined,
): ShapedRow | null {
  if (columns === 'all' || row === null || relation === null) return present ?? null
  const { shape, indexes } = shapes.of(relation)
  if (columns.size === 0) return { shape, values: row }
  const now = new Map<string, Value>(present?.shape.map(({ name }, i) => [name, present.values[i]!]))
  const values = indexes.map((index, i) => {
    const { name } = shape[i]!
    if (columns.has(name)) return now.has(name) ? now.get(name)! : unchanged
    return index === null ? unchanged : row[index]!
  })
  return { shape, values }
}
