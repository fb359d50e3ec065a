/**
 * A changed row behind a related field that too many entities show: they are told page by page. `at`: which of the
 * field's tables it is in (`stopsOf`). `value`: by what the table before leads to it; null: by anything.
 */
export type FanOut = {
  readonly entityType: string
  readonly field: string
  readonly at: number
  readonly value: string | null
}
