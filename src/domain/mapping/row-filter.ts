import { type Compared, comparableOf, compare, literalProblem } from './comparable.ts'

/** A value of the mapping file. */
export type Literal = string | number | boolean | null

/** The condition of one column. `in` treats null like any value; no null is less or greater than anything. */
export type Test =
  | { readonly kind: 'in'; readonly values: readonly Literal[]; readonly not: boolean }
  | { readonly kind: 'compare'; readonly operator: Comparison; readonly value: Literal }

export type Comparison = '<' | '<=' | '>' | '>='

/** The conditions of several columns: all must hold. */
export type Conditions = readonly { readonly column: string; readonly tests: readonly Test[] }[]

/** The rows of a table that are sent: those that match `where` and not `deletedWhen`. */
export type RowFilter = { readonly where: Conditions; readonly deletedWhen: Conditions }

/** Whether a row matches. `unknown`: it depends on an unknown value. */
export type Verdict = 'yes' | 'no' | 'unknown'

export function filterColumns(filter: RowFilter | undefined): readonly string[] {
  if (!filter) return []
  return [...new Set([...filter.where, ...filter.deletedWhen].map(({ column }) => column))]
}

/** The action of a transaction, by whether the entity matched before and now; null: none. */
export function actionOf(was: Verdict, is: Verdict): 'new' | 'update' | 'delete' | null {
  if (is === 'no') return was === 'no' ? null : 'delete'
  return was === 'no' ? 'new' : 'update'
}

type Matcher = (read: (column: string) => string | null | undefined) => Verdict

/** Creates a matcher for rows with columns of these types; `read` returns undefined for an unknown value. */
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
  const checks = conditions.flatMap(({ column, tests }) => {
    const type = typeOf(column)
    return tests.map(test => ({ column, holds: type === null ? null : holdsOf(test, type) }))
  })
  return read => {
    let verdict: Verdict = 'yes'
    for (const { column, holds } of checks) {
      const value = read(column)
      const is = value === undefined || holds === null ? null : holds(value)
      if (is === false) return 'no'
      if (is === null) verdict = 'unknown'
    }
    return verdict
  }
}

/** Null: the value or its counterpart does not parse as this type, as after a change of the column's type. */
type Holds = (value: string | null) => boolean | null

function holdsOf(test: Test, type: Compared): Holds {
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

/** The conditions that do not fit their column's type, each with its fix. */
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
