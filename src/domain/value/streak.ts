import type { Lsn } from './lsn.ts'

/** More rows in a row that can't become events mean a problem of their table. */
export const maxInARow = 50

/** Consecutive changes that can't become events. */
export type Streak = { readonly count: number; readonly fromLsn: Lsn }

export function addToStreak(before: Streak | null, lsn: Lsn): Streak {
  return { count: (before?.count ?? 0) + 1, fromLsn: before?.fromLsn ?? lsn }
}

/** Whether a change is lost with its table; otherwise it is parked alone. */
export const isOfTable = ({ count }: Streak): boolean => count > maxInARow
