import type { Lsn } from './lsn.ts'

/** What stands for a TOASTed value that the WAL did not repeat because the UPDATE left it as it was. */
export const unchanged: unique symbol = Symbol('unchanged')

/** A column's value as Postgres writes it, null, or not in the WAL. */
export type Value = string | null | typeof unchanged

/** A column as the stream describes it. `inKey`: part of the replica identity. */
export type Column = { readonly name: string; readonly typeOid: number; readonly inKey: boolean }

/** A table as it was when the change was made: the stream sends a new one after each DDL. */
export type Relation = {
  readonly oid: number
  readonly schema: string
  readonly name: string
  readonly identity: 'default' | 'nothing' | 'full' | 'index'
  readonly columns: readonly Column[]
}

/** A row's values in the order of its relation's columns. */
export type Row = readonly Value[]

/**
 * One change of one row. `old` is what the replica identity gives of the row before: the whole row
 * (identity FULL), its key columns with null elsewhere, or nothing when an UPDATE left the key alone.
 */
export type Change =
  | { readonly kind: 'insert'; readonly relation: Relation; readonly row: Row }
  | { readonly kind: 'update'; readonly relation: Relation; readonly row: Row; readonly old: Row | null }
  | { readonly kind: 'delete'; readonly relation: Relation; readonly old: Row }
  | { readonly kind: 'truncate'; readonly relations: readonly Relation[] }

/**
 * Where a committed transaction stands in the WAL. `commitLsn` (the start of its commit record) is what
 * orders and identifies transactions; `endLsn` (the byte after that record) is what the slot is confirmed to.
 */
export type WalTransaction = {
  readonly commitLsn: Lsn
  readonly endLsn: Lsn
  readonly committedAt: Date
}
