import { type Compared, comparableOf, compare, literalProblem } from './comparable.ts'

/** A value as the mapping file has it. */
export type Literal = string | number | boolean | null

/** What one column must hold. Null is a value like others to `in`; no null is less or greater than anything. */
export type Test =
  | { readonly kind: 'in'; readonly values: readonly Literal[]; readonly not: boolean }
  | { readonly kind: 'compare'; readonly operator: Comparison; readonly value: Literal }

export type Comparison = '<' | '<=' | '>' | '>='

/** What several columns must hold, all of it together. */
export type Conditions = readonly { readonly column: string; readonly tests: readonly Test[] }[]

/** Which rows of a table are told: those that hold `where` and do not hold `deletedWhen`. */
export type RowFilter = { readonly where: Conditions; readonly deletedWhen: Conditions }

/** Whether a row matches. `unknown`: that depends on a value that is not known. */
export type Verdict = 'yes' | 'no' | 'unknown'

/** The columns that decide, each once. */
export function filterColumns(filter: RowFilter | undefined): readonly string[] {
  if (!filter) return []
  return [...new Set([...filter.where, ...filter.deletedWhen].map(({ column }) => column))]
}

/** What a transaction did to an entity, by whether it was told before and is told now; null: nothing that is told. */
export function actionOf(was: Verdict, is: Verdict): 'new' | 'update' | 'delete' | null {
  if (is === 'no') return was === 'no' ? null : 'delete'
  return was === 'no' ? 'new' : 'update'
}

export type Matcher = (read: (column: string) => string | null | undefined) => Verdict

/** Makes the judge of rows whose columns have these types; `read` gives undefined for what is not known. */
export function createMatcher(
  { where, deletedWhen }: RowFilter,
  typeOf: (column: string) => Compared | null,
): Matcher {
  const wanted = allOf(where, typeOf)
  const deleted = deletedWhen.length === 0 ? null : allOf(deletedWhen, typeOf)
  return read => {
    const isWanted = wanted(read)
    if (isWanted === 'no' || deleted === null) return isWanted
    const isDeleted = deleted(read)
    if (isDeleted === 'yes') return 'no'
    return isDeleted === 'no' ? isWanted : 'unknown'
  }
}

function allOf(conditions: Conditions, typeOf: (column: string) => Compared | null): Matcher {
  const judges = conditions.flatMap(({ column, tests }) => {
    const type = typeOf(column)
    return tests.map(test => ({ column, holds: type === null ? null : judgeOf(test, type) }))
  })
  return read => {
    let verdict: Verdict = 'yes'
    for (const { column, holds } of judges) {
      const value = read(column)
      const is = value === undefined || holds === null ? null : holds(value)
      if (is === false) return 'no'
      if (is === null) verdict = 'unknown'
    }
    return verdict
  }
}

/** Null: the value, or what it is compared with, is none of this type, as after the column got another one. */
type Holds = (value: string | null) => boolean | null

function judgeOf(test: Test, type: Compared): Holds {
  const literals = test.kind === 'in' ? test.values : [test.value]
  const known = literals.map(literal => (literal === null ? null : comparableOf(type, String(literal))))
  const isFit = literals.every((literal, i) => literal === null || known[i] !== null)
  const hasNull = literals.includes(null)
  return value => {
    if (value === null) return test.kind === 'in' ? hasNull !== test.not : false
    if (test.kind === 'in' && literals.every(literal => literal === null)) return test.not
    const own = comparableOf(type, value)
    if (own === null || !isFit) return null
    if (test.kind === 'in') return known.some(each => each !== null && compare(own, each) === 0) !== test.not
    const order = compare(own, known[0]!)
    return holdsOrder(test.operator, order)
  }
}

function holdsOrder(operator: Comparison, order: number): boolean {
  switch (operator) {
    case '<':
      return order < 0
    case '<=':
      return order <= 0
    case '>':
      return order > 0
    case '>=':
      return order >= 0
    default:
      return operator satisfies never
  }
}

/** What does not fit between conditions and the type of their column, each with its mend. */
export function conditionProblems(
  tests: readonly Test[],
  type: Compared,
  typeName: string,
): { found: string; mend: string }[] {
  return tests.flatMap(test =>
    (test.kind === 'in' ? test.values : [test.value]).flatMap(
      literal => literalProblem(type, typeName, literal, test.kind === 'compare') ?? [],
    ),
  )
}
