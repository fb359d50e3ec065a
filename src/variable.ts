/** What a text means, or everything that is wrong with it. */
export type Parsed<T> = { readonly value: T } | { readonly wrong: readonly string[] }

/** An environment variable. `docs/reference/configuration.md` is generated from it. */
export type Variable<T> = {
  readonly means: string
  /** The text that counts where the variable is not set. Null: none does, and the value is null. */
  readonly default: string | null
  /** What happens without it, where there is no default. */
  readonly without?: string
  /** What to write where it is wrong. */
  readonly mend: string
  /** Names what is wrong, but never a secret. */
  parse(text: string): Parsed<T>
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
