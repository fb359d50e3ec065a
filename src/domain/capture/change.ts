/** What stands for a TOASTed value that the WAL did not repeat because the UPDATE left it as it was. */
export const unchanged: unique symbol = Symbol('unchanged')

/**
 * What stands for a value that the WAL has and that can't be told: it is not UTF-8 (a database in SQL_ASCII promises
 * nothing), or longer than a text can be here (half a gigabyte).
 */
export const unreadable: unique symbol = Symbol('unreadable')

/** A column's value as Postgres writes it, null, or not known. */
export type Value = string | null | typeof unchanged | typeof unreadable

export const isKnown = (value: Value): value is string | null => typeof value !== 'symbol'

/** A column as the stream describes it. `inKey`: part of the replica identity. */
export type Column = {
  readonly name: string
  readonly typeOid: number
  readonly inKey: boolean
  /** Of a type that is not built in, as `schema.name`: it may be dropped, and made anew under another OID. */
  readonly typeName?: string
  /** Absent: as the mapping says of its name. `in doubt`: it may be one that is never told. */
  readonly told?: 'never' | 'in doubt'
}

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
 * One change of one row, or what is known of it. `old` is what the replica identity gives of the row before: the whole row
 * (identity FULL), its key columns with null elsewhere, or nothing when an UPDATE left the key alone.
 */
export type Change =
  | { readonly kind: 'insert'; readonly relation: Relation; readonly row: Row }
  | { readonly kind: 'update'; readonly relation: Relation; readonly row: Row; readonly old: Row | null }
  | { readonly kind: 'delete'; readonly relation: Relation; readonly old: Row }
  | { readonly kind: 'truncate'; readonly relations: readonly Relation[] }
  | {
      /** One whose message can't be decoded. */
      readonly kind: 'unreadable'
      readonly relation: Relation
      readonly actionType: 'new' | 'update' | 'delete'
      readonly because: string
    }
