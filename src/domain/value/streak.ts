import type { Lsn } from './lsn.ts'

/** So many rows in a row that can't be told are no single rows: something is wrong with their table. */
export const mostInARow = 50

/** Changes one after the other that can't be told. */
export type Streak = { readonly count: number; readonly fromLsn: Lsn }

/** Adds a change that can't be told to those before it. */
export function addToStreak(before: Streak | null, lsn: Lsn): Streak {
  return { count: (before?.count ?? 0) + 1, fromLsn: before?.fromLsn ?? lsn }
}

/** Whether a change is lost with its table; else it is set aside by itself. */
export const isOfTable = ({ count }: Streak): boolean => count > mostInARow
