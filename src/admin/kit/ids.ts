import { z } from 'zod'

/** The id of a webhook in a path: a number that Postgres can hold. What is none is not found. */
export const idParam = z
  .string()
  .regex(/^\d{1,10}$/)
  .transform(Number)
  .pipe(z.int().min(1).max(2_147_483_647))

/** A moment in a form, in ms. */
export const momentParam = z
  .string()
  .regex(/^\d{1,15}$/)
  .transform(Number)
  .refine(ms => ms < 2 ** 43)
  .transform(ms => new Date(ms))

/** The id of an event or an attempt in a path, of 64 bits. */
export const bigIdParam = z
  .string()
  .regex(/^\d{1,19}$/)
  .transform(BigInt)
  .refine(value => value < 2n ** 63n)
