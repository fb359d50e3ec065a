/**
 * A changed related row that too many entities show: they are sent page by page. `at`: the index of its table in `stopsOf`.
 * `value`: the value by which the table before leads to it; null: any.
 */
export type FanOut = {
  readonly entityType: string
  readonly field: string
  readonly at: number
  readonly value: string | null
}
