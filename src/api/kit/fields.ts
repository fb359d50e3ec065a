import { z } from 'zod'
import { type CellCursor, parseCellCursor, writeCellCursor } from '../../domain/cells/cell-cursor.ts'
import { nameIn } from '../../domain/input/name.ts'

/** Postgres stores no NUL, and UTF-8 no lone surrogate. */
export const text = () =>
  z
    .string()
    .refine(
      value => value.isWellFormed() && !value.includes('\0'),
      'must not contain NUL or half a character',
    )

/** A name for people: something of it can be seen. */
export const name = () =>
  text().overwrite(nameIn).min(1, 'must not be empty').max(200, 'must be at most 200 characters')

const maxId = 2_147_483_647

/**
 * A whole number in a path or query, which are text. Digits only: `Number` also accepts `0x1` and the empty text. The
 * document calls it an integer.
 */
const number = (least: number, max: number, what: string) =>
  z
    .string()
    .regex(/^\d{1,16}$/, what)
    .transform(Number)
    .pipe(z.int().min(least).max(max))
    .meta({ asJson: { type: 'integer', minimum: least, maximum: max } })

/** A row id of a path, counted from 1. */
export const id = () => number(1, maxId, 'must be a number')
export const limit = (max: number, byDefault: number) =>
  number(1, max, 'must be a whole number').default(byDefault)

/** A cursor is text in the document, as `next_cursor` is: typed clients pass one to the other. */
const cursorAsJson = (digits: number) => ({
  type: 'string',
  pattern: `^\\d{1,${digits}}$`,
  description: '`next_cursor` of the previous page.',
})
/** The cursor of a list in ascending order of small ids: after this id. */
export const idCursor = () =>
  number(0, maxId, 'must be the next_cursor of a page')
    .meta({ asJson: cursorAsJson(10) })
    .prefault('0')
/** The cursor of a list in descending order of 64-bit ids: before this id; absent: from the newest. */
export const bigCursor = () =>
  big('must be the next_cursor of a page')
    .meta({ asJson: cursorAsJson(19) })
    .optional()

/** The cursor of a list whose ids are each cell's own, newest first; absent: from the newest. */
export const cellCursor = () =>
  z
    .string()
    .transform((value, context) => {
      const cursor = parseCellCursor(value)
      if (cursor) return cursor
      context.addIssue('must be the next_cursor of a page')
      return z.NEVER
    })
    .meta({ asJson: { type: 'string', description: '`next_cursor` of the previous page.' } })
    .optional()

/** A 64-bit id in a path, query or body, as text; `what` as in "an event". */
export const bigIdInput = (what: string) => big(`must be the id of ${what}, as text`)

const big = (what: string) =>
  z
    .string(what)
    .refine(value => /^\d{1,19}$/.test(value) && BigInt(value) < 2n ** 63n, what)
    .transform(BigInt)
    .meta({ asJson: { type: 'string', pattern: '^\\d{1,19}$' } })

/** Some of these words in a query, separated by commas. */
export const someOf = <Word extends string>(words: readonly Word[]) =>
  z
    .string()
    .transform(value => value.split(',').map(word => word.trim()))
    .pipe(z.array(z.enum(words, `must be any of ${words.join(', ')}, separated by commas`)))
    .meta({
      asJson: {
        type: 'string',
        description: `Any of ${words.map(word => `\`${word}\``).join(', ')}, separated by commas.`,
      },
    })

/** A moment in a request: ISO 8601 with its time zone. */
export const moment = () =>
  z.iso
    .datetime({ offset: true, message: 'must be a time such as 2026-01-31T12:00:00Z' })
    .transform(value => new Date(value))
    .refine(
      value => value.getTime() >= 0 && value.getUTCFullYear() < 2200,
      'must be between the years 1970 and 2199',
    )
    .meta({ asJson: { type: 'string', format: 'date-time' } })

/** A moment in a response: ISO 8601 in UTC, with milliseconds. */
export const time = () => z.string().meta({ format: 'date-time' })
/** A 64-bit id in a response, as text: most readers' numbers are exact up to 2^53 only. */
export const bigId = () => z.string().meta({ pattern: '^\\d+$' })

/** Replaces a body that is not shown. */
export const tooLargeBytes = () =>
  z.number().optional().meta({
    description: 'The size of a body of more than 8,000,000 bytes, which is empty here. Absent otherwise.',
  })

/** Any JSON in a response. `z.json()` refers to itself under a generated name, and generators of clients fail. */
export const anyJson = () => z.unknown() as z.ZodType<z.core.util.JSONType>

/** A page of a list. The next one begins at `next_cursor`; null: the end. */
export function page<Item extends z.ZodType>(item: Item) {
  const { name, fields } = partsOf(item)
  return z.object(fields).meta({ id: name, description: aPage })
}

/** The same of a list over all cells. */
export function pageOverCells<Item extends z.ZodType>(item: Item) {
  const { name, fields } = partsOf(item)
  return z.object({ ...fields, cells_away: cellsAway() }).meta({ id: name, description: aPage })
}

const aPage = 'A page of a list. `next_cursor` is null on the last one.'

function partsOf<Item extends z.ZodType>(item: Item) {
  const name = item.meta()?.id
  if (name === undefined) throw new Error('the items of a page need a name')
  return { name: `${name}Page`, fields: { data: z.array(item), next_cursor: z.string().nullable() } }
}

/** A page as a response has it. */
export function pageOf<T, Shown>(
  found: {
    readonly items: readonly T[]
    readonly next: number | bigint | CellCursor | null
    readonly away?: readonly string[]
  },
  toShown: (item: T) => Shown,
): { data: Shown[]; nextCursor: string | null; cellsAway: readonly string[] | undefined } {
  const { items, next, away } = found
  const nextCursor = typeof next === 'object' ? next && writeCellCursor(next) : String(next)
  return { data: items.map(toShown), nextCursor, cellsAway: awayOf(away) }
}

/** The cells that an answer lacks. */
export const cellsAway = () =>
  z.array(z.string()).optional().meta({
    description:
      'The cells that do not respond now: their part of the list is missing. Absent if all respond. A tenant sees `[redacted]` for a cell with its webhooks.',
  })

/** Absent if all respond. */
export const awayOf = (away: readonly string[] = []) => (away.length === 0 ? undefined : away)
