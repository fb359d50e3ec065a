import type { ValueType } from './value-type.ts'

export type Shape =
  | ValueType
  /** `max`: the maximum number of characters. */
  | { readonly kind: 'bounded text'; readonly max: number }
  /** The same JSON value for every entity of the type. */
  | { readonly kind: 'fixed'; readonly json: string }
  | { readonly kind: 'list'; readonly of: Nullable }
  | { readonly kind: 'object'; readonly fields: readonly Field[] }
  /** An object whose names are data. `names`: all possible ones; null: any. */
  | { readonly kind: 'named'; readonly of: Nullable; readonly names: readonly string[] | null }

export type Nullable = { readonly shape: Shape; readonly mayBeNull: boolean }

export type Field = Nullable & { readonly name: string }

/** The events of an entity type, by its present tables. */
export type EntityShape = {
  readonly entityType: string
  readonly key: readonly { readonly column: string; readonly type: ValueType }[]
  /** Whether `entity_id` is a number. */
  readonly hasNumberId: boolean
  /** The fields from its own table. */
  readonly columns: readonly Field[]
  /** Fixed values and related fields, which follow the columns. */
  readonly others: readonly Field[]
  /** The field names in `last` of a `delete`; null: no `last`. */
  readonly last: readonly string[] | null
}
