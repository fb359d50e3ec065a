import { z } from 'zod'
import { formats } from '../value/format.ts'
import { nearest } from '../value/nearest.ts'
import { columnsOfKey } from './entity-key.ts'
import type { RowOrder, TableName } from './mapping.ts'

/** A name of a column. */
export const column = z.string().min(1, 'must not be empty')

/** One column, or several that form a key. */
export const keyColumns = z
  .union(
    [column, z.array(column).min(2)],
    'must be a column, or a list of two or more columns (write [id] as id)',
  )
  .refine(key => new Set(columnsOfKey(key)).size === columnsOfKey(key).length, 'names a column twice')

const longestLabel = 5

/** Field names, separated by spaces or as a list. */
export const label = z
  .union(
    [
      z
        .string()
        .regex(/\S/)
        .transform(text => text.trim().split(/\s+/)),
      z.array(column).min(1),
    ],
    'must be names of fields separated by spaces, or a list of them',
  )
  .refine(fields => fields.length <= longestLabel, `names more than ${longestLabel} fields`)

/** The wrong word, with the nearest existing one. */
export function withNearest(word: string, all: readonly string[]): string {
  const meant = nearest(word, all)
  return meant === null ? word : `${word} (did you mean ${meant}?)`
}

/** An object with exactly these words. A wrong one is refused with the nearest existing one. */
export function words<Shape extends z.core.$ZodLooseShape>(shape: Shape) {
  return z.strictObject(shape, {
    error(issue) {
      if (issue.code !== 'unrecognized_keys') return undefined
      const all = Object.keys(shape)
      const wrong = issue.keys.map(word => withNearest(word, all))
      return `has no setting ${wrong.join(', ')}: its settings are ${all.join(', ')}`
    },
  })
}

export const table = z.union(
  [
    z
      .string()
      .regex(/^[^.]+(\.[^.]+)?$/)
      .transform((text): TableName => {
        const [first, second] = text.split('.')
        return second === undefined ? { schema: 'public', name: first! } : { schema: first!, name: second }
      }),
    words({ schema: column, name: column }),
  ],
  'must be a table: its name, schema.name, or {schema: …, name: …}',
)

export const rename = z.record(column, column).describe('column: the name of its field')
export const format = z
  .record(column, z.enum(formats, `must be one of ${formats.join(', ')}`))
  .describe(
    'column: the format of its values. string: a number, boolean or JSON as text; of a timestamp (taken as UTC): unix_seconds, unix_milliseconds, datetime (2019-11-05 07:56:15), iso_8601, date; hex: bytes; from_unix_seconds, from_unix_milliseconds: a number since 1970, sent as iso_8601',
  )

export const order = z.union(
  [
    column.transform(name => [name]),
    z.array(column).min(1),
    z.record(column, z.enum(['asc', 'desc'])).refine(columns => Object.keys(columns).length > 0),
  ],
  'must be a column, a list of columns, or an object of columns with asc or desc',
)

export function toOrder(given: z.output<typeof order>): RowOrder[] {
  if (Array.isArray(given)) return given.map(column => ({ column, descends: false }))
  return Object.entries(given).map(([column, direction]) => ({ column, descends: direction === 'desc' }))
}
