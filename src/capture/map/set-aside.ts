import { tableKey } from '../../domain/mapping/mapping.ts'
import type { Lsn } from '../../domain/value/lsn.ts'
import { addToStreak, isOfTable, maxInARow, type Streak } from '../../domain/value/streak.ts'
import type { TransactionPart } from '../stream/batch.ts'
import type { ChangedEntity } from './changed-entities.ts'

/** Lost changes of a table for an entity type: too many consecutive ones were unreadable. */
export type Unreadable = {
  readonly entityType: string
  readonly table: string
  readonly fromLsn: Lsn
  readonly toLsn: Lsn
  readonly because: string
}

type Known = Pick<Unreadable, 'entityType' | 'table' | 'fromLsn'>

/**
 * Decides whether an unreadable change is parked alone, or lost with its table: after more than fifty in a row. Values from
 * the table and from the WAL are counted separately, since only one may fail. `known`: tables in open gaps.
 */
export function createSetAside(known: readonly Known[]) {
  const streaks = new Map<string, Streak>()
  for (const { entityType, table, fromLsn } of known)
    for (const how of ways) streaks.set(nameOf(entityType, table, how), { count: maxInARow, fromLsn })
  let lost = new Map<string, Unreadable>()

  const tableOf = ({ entity, problemOf }: ChangedEntity) => problemOf ?? tableKey(entity.table)
  const wayOf = ({ problemOf }: ChangedEntity, isReadBack: boolean) =>
    problemOf !== null ? 'decoded' : isReadBack ? 'read' : 'written'

  return {
    /** Notes a batch: a table with a decodable row is readable. */
    begin(parts: readonly TransactionPart[]): void {
      lost = new Map()
      if (streaks.size === 0) return
      const readable = new Set<string>()
      for (const { changes } of parts)
        for (const change of changes)
          if (change.kind !== 'truncate' && change.kind !== 'unreadable')
            readable.add(tableKey(change.relation))
      for (const name of streaks.keys())
        if (name.endsWith('\ndecoded') && readable.has(name.split('\n')[1]!)) streaks.delete(name)
    },

    /** A change became an event; a `delete` needs no row, and shows nothing. */
    written(item: ChangedEntity, isReadBack: boolean): void {
      if (streaks.size > 0)
        streaks.delete(nameOf(item.entity.entityType, tableOf(item), wayOf(item, isReadBack)))
    },

    /** Whether an unreadable change is lost with its table. */
    isLost(item: ChangedEntity, isReadBack: boolean, because: string): boolean {
      const { entityType } = item.entity
      const { commitLsn } = item.part
      const table = tableOf(item)
      const name = nameOf(entityType, table, wayOf(item, isReadBack))
      const streak = addToStreak(streaks.get(name) ?? null, commitLsn)
      streaks.set(name, streak)
      if (!isOfTable(streak)) return false
      const of = `${entityType}\n${table}`
      lost.set(of, {
        ...{ entityType, table, toLsn: commitLsn, because },
        fromLsn: lost.get(of)?.fromLsn ?? streak.fromLsn,
      })
      return true
    },

    lost: (): Unreadable[] => [...lost.values()],
  }
}

const ways = ['read', 'written', 'decoded'] as const

const nameOf = (entityType: string, table: string, how: (typeof ways)[number]) =>
  `${entityType}\n${table}\n${how}`
