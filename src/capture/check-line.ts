/** One thing that was looked at. `mend` is null where there is nothing to do. */
export type CheckLine = {
  readonly level: 'ok' | 'warning' | 'error'
  readonly what: string
  readonly found: string
  readonly mend: string | null
}
