import { z } from 'zod'
import { nearest } from '../value/nearest.ts'
import type { Comparison, Conditions, Literal, Test } from './row-filter.ts'

const operators = ['=', 'in', 'not', '<', '<=', '>', '>='] as const
const meantBy: Readonly<Record<string, string>> = { '==': '=', '!=': 'not', '<>': 'not', eq: '=', ne: 'not' }
/** YAML reads `deleted_at: not null` as this text. */
const notNull = 'not null'

const literal = z.union([z.string(), z.number(), z.boolean(), z.null()])
const list = z.array(literal).min(1, { error: issue => wrong(issue.input) })
const comparisons = z
  .strictObject(
    {
      '=': literal,
      in: list,
      not: z.union([literal, list]),
      '<': literal,
      '<=': literal,
      '>': literal,
      '>=': literal,
    },
    { error: issue => wrong(issue.input) },
  )
  .partial()
const condition = z
  .union([literal, list, comparisons], { error: issue => wrong(issue.input) })
  .superRefine((given, context) => {
    const isEmpty = typeof given === 'object' && given !== null && Object.keys(given).length === 0
    if (isEmpty && context.issues.length === 0) context.addIssue({ code: 'custom', message: wrong(given) })
    for (const value of numbersIn(given))
      if (Number.isInteger(value) && !Number.isSafeInteger(value))
        context.addIssue({
          code: 'custom',
          message: `${value} has more digits than YAML reads exactly: write it in quotation marks`,
        })
  })

export const conditions = z
  .record(z.string().min(1), condition)
  .refine(given => Object.keys(given).length > 0, { message: 'must name at least one column' })

type Given = z.output<typeof condition>

function wrong(input: unknown): string {
  const forms = `write a value, a list of values, null, not null, or one of ${operators.join(', ')} with its value`
  if (Array.isArray(input) && input.length === 0) return `is an empty list, which no row matches: ${forms}`
  if (typeof input !== 'object' || input === null || Array.isArray(input))
    return `is not a condition: ${forms}`
  const unknown = Object.keys(input).filter(word => !(operators as readonly string[]).includes(word))
  if (Object.keys(input).length === 0) return `names no operator: ${forms}`
  if (unknown.length === 0) return `has an operator with an invalid value: ${forms}`
  const shown = unknown.map(word => {
    const meant = meantBy[word.toLowerCase()] ?? nearest(word, operators)
    return meant === null ? word : `${word} (did you mean ${meant}?)`
  })
  return `has no operator ${shown.join(', ')}: ${forms}`
}

function numbersIn(given: unknown): number[] {
  if (typeof given === 'number') return [given]
  return typeof given === 'object' && given !== null ? Object.values(given).flatMap(numbersIn) : []
}

/** The conditions of a mapping file, parsed. */
export function readConditions(given: Readonly<Record<string, Given>> | undefined): Conditions {
  return Object.entries(given ?? {}).map(([column, condition]) => ({ column, tests: testsOf(condition) }))
}

function testsOf(given: Given): Test[] {
  if (given === notNull) return [{ kind: 'in', values: [null], not: true }]
  if (given === null || typeof given !== 'object' || Array.isArray(given)) return [isIn(given)]
  return Object.entries(given).flatMap(([operator, value]): Test[] => {
    if (value === undefined) return []
    if (operator === 'not') return [{ ...isIn(value), not: true }]
    if (operator === '=' || operator === 'in') return [isIn(value)]
    return [{ kind: 'compare', operator: operator as Comparison, value: value as Literal }]
  })
}

const isIn = (given: Literal | readonly Literal[]): Test & { kind: 'in' } => ({
  kind: 'in',
  values: Array.isArray(given) ? given : [given as Literal],
  not: false,
})
