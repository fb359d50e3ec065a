/** A parsed text, or every problem of it. */
export type Parsed<T> = { readonly value: T } | { readonly wrong: readonly string[] }

export type Env = Readonly<Record<string, string | undefined>>

/** An environment variable, also the source of `docs/reference/configuration.md`. */
export type Variable<T> = {
  readonly means: string
  /** The default text. Null: no default, and the value is null. */
  readonly default: string | null
  /** The behaviour without it, if it has no default. */
  readonly without?: string
  /** What to write instead of a wrong value. */
  readonly mend: string
  /** Names the problem, never a secret. `env`: other variables that complete the value. */
  parse(text: string, env: Env): Parsed<T>
}

/** A variable that always has a value. */
export type Given<T> = Variable<T> & { readonly default: string }

export const optional = <T>(variable: Omit<Variable<T>, 'default'>): Variable<T | null> => ({
  ...variable,
  default: null,
})

export const wholeNumber = (means: string, from: number, to: number, byDefault: number): Given<number> => ({
  means,
  default: String(byDefault),
  mend: `use a number from ${from} to ${to}`,
  parse(text) {
    const value = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN
    return value >= from && value <= to ? { value } : { wrong: [JSON.stringify(text)] }
  },
})
