import type { ValueType } from './value-type.ts'

/** What a value of an event may be. */
export type Shape =
  | ValueType
  /** `most`: how many characters it may have. */
  | { readonly kind: 'bounded text'; readonly most: number }
  /** A value that every entity of the type has, as JSON. */
  | { readonly kind: 'fixed'; readonly json: string }
  | { readonly kind: 'list'; readonly of: Nullable }
  | { readonly kind: 'object'; readonly fields: readonly Field[] }
  /** An object whose names are data. `names`: all that there may be; null: any. */
  | { readonly kind: 'named'; readonly of: Nullable; readonly names: readonly string[] | null }

export type Nullable = { readonly shape: Shape; readonly mayBeNull: boolean }

export type Field = Nullable & { readonly name: string }

/** What the events of an entity type hold, as its tables are now. */
export type EntityShape = {
  readonly entityType: string
  /** The columns of the key, in their order. */
  readonly key: readonly { readonly column: string; readonly type: ValueType }[]
  /** Whether `entity_id` is a number. */
  readonly hasNumberId: boolean
  /** Of the columns of its own table. */
  readonly columns: readonly Field[]
  /** Fixed values and related fields, which come behind the columns. */
  readonly others: readonly Field[]
  /** The names of the fields that `last` of a `delete` has; null: a `delete` has none. */
  readonly last: readonly string[] | null
}
