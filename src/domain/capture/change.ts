/** A TOASTed value that the WAL omits because the UPDATE did not change it. */
export const unchanged: unique symbol = Symbol('unchanged')

/**
 * A value of the WAL that can't be represented: it is not UTF-8 (SQL_ASCII guarantees nothing), or exceeds the maximum length
 * of a JavaScript string (half a gigabyte).
 */
export const unreadable: unique symbol = Symbol('unreadable')

/** A column's value as Postgres writes it, null, or unknown. */
export type Value = string | null | typeof unchanged | typeof unreadable

export const isKnown = (value: Value): value is string | null => typeof value !== 'symbol'

/** A column, as the stream describes it. `inKey`: part of the replica identity. */
export type Column = {
  readonly name: string
  readonly typeOid: number
  readonly inKey: boolean
  /** The name `schema.name` of a type that is not built in: DROP and CREATE may change its OID. */
  readonly typeName?: string
  /** Absent: the mapping decides by the name. `in doubt`: it may be a column that is never sent. */
  readonly included?: 'never' | 'in doubt'
}

/** A table at the time of the change: the stream sends a new one after each DDL. */
export type Relation = {
  readonly oid: number
  readonly schema: string
  readonly name: string
  readonly identity: 'default' | 'nothing' | 'full' | 'index'
  readonly columns: readonly Column[]
}

/** A row's values, in the order of its relation's columns. */
export type Row = readonly Value[]

/**
 * One change of one row. `old` is the replica identity's part of the row before: the whole row (identity FULL), its key
 * columns with null elsewhere, or nothing if an UPDATE kept the key.
 */
export type Change =
  | { readonly kind: 'insert'; readonly relation: Relation; readonly row: Row }
  | { readonly kind: 'update'; readonly relation: Relation; readonly row: Row; readonly old: Row | null }
  | { readonly kind: 'delete'; readonly relation: Relation; readonly old: Row }
  | { readonly kind: 'truncate'; readonly relations: readonly Relation[] }
  | {
      /** A change whose message can't be decoded. */
      readonly kind: 'unreadable'
      readonly relation: Relation
      readonly actionType: 'new' | 'update' | 'delete'
      readonly because: string
    }
