import type { Silence } from './tables.ts'
import type { Entry, Row } from './witness.ts'

/** Each entity's row as the last transaction left it, by names like `user 7`. */
export type Truth = Map<string, Row>

/** What one transaction did to one entity, and the row that it left; `nothing` where it came and went in it. */
export type Step = {
  readonly lsn: bigint
  readonly action: 'new' | 'update' | 'delete' | 'nothing'
  readonly row: Row | null
  /** Where nothing in the WAL tells of it, why. */
  readonly silence: Silence | null
}

const entityTypes: Partial<Record<Entry['table'], string>> = {
  users: 'user',
  companies: 'company',
  orders: 'order',
}

/**
 * What every transaction did to every entity, in the order of commits, and which owners' related rows it touched.
 * Moves the truth on.
 */
export function stepsOf(entries: readonly Entry[], truth: Truth) {
  const byEntity = new Map<string, Step[]>()
  const touches = new Map<bigint, Set<string>>()
  /** Which types of entities a transaction has emptied by a TRUNCATE. */
  const emptied = new Map<bigint, Set<string>>()
  const start = new Map(truth)
  for (const [lsn, changes] of Map.groupBy(entries, ({ commitLsn }) => commitLsn)) {
    const touched = new Set<string>()
    touches.set(lsn, touched)
    const before = new Map<string, Row | undefined>()
    const after = new Map<string, Row>()
    const silent = new Map<string, Silence>()
    const take = (entity: string, row: Row | null) => {
      if (!before.has(entity)) before.set(entity, truth.get(entity))
      if (row) {
        truth.set(entity, row)
        after.set(entity, row)
      } else {
        truth.delete(entity)
        after.delete(entity)
      }
    }
    for (const { table, old, new: row, silence } of changes) {
      const type = entityTypes[table]
      if (type === undefined) {
        for (const each of [old, row]) if (each) touched.add(`user ${each.user_id}`)
        continue
      }
      if (!old && !row) {
        emptied.set(lsn, (emptied.get(lsn) ?? new Set()).add(type))
        for (const entity of [...truth.keys()]) if (entity.startsWith(`${type} `)) take(entity, null)
        continue
      }
      const left = old && (!row || old.id !== row.id) ? `${type} ${old.id}` : null
      // Where keys are exchanged in one statement, another row has come there before.
      if (left !== null && truth.get(left)?.v === old!.v) take(left, null)
      if (row) take(`${type} ${row.id}`, row)
      if (silence) silent.set(`${type} ${(old ?? row)!.id}`, silence)
    }
    for (const [entity, was] of before) {
      const is = after.get(entity)
      const action = was ? (is ? 'update' : 'delete') : is ? 'new' : 'nothing'
      const steps = byEntity.get(entity) ?? []
      steps.push({ lsn, action, row: is ?? null, silence: silent.get(entity) ?? null })
      byEntity.set(entity, steps)
    }
  }
  return { byEntity, touches, emptied, known: new Set(touches.keys()), start }
}
