import { z } from 'zod'
import { parseCellCursor } from '../../domain/cells/cell-cursor.ts'

/** A webhook's id in a path: an integer of Postgres. Anything else is not found. */
export const idParam = z
  .string()
  .regex(/^\d{1,10}$/)
  .transform(Number)
  .pipe(z.int().min(1).max(2_147_483_647))

/** A moment of a form, in ms. */
export const momentParam = z
  .string()
  .regex(/^\d{1,15}$/)
  .transform(Number)
  .refine(ms => ms < 2 ** 43)
  .transform(ms => new Date(ms))

/** A 64-bit id of an event or attempt in a path. */
export const bigIdParam = z
  .string()
  .regex(/^\d{1,19}$/)
  .transform(BigInt)
  .refine(value => value < 2n ** 63n)

/** The cursor of a list over several cells. */
export const cellCursorParam = z.string().transform((text, context) => {
  const cursor = parseCellCursor(text)
  if (cursor) return cursor
  context.addIssue('not a cursor')
  return z.NEVER
})
