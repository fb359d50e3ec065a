import type { Context } from 'hono'
import type { z } from 'zod'
import { impossibleName, pathTo, unseenIn } from '../../domain/input/members.ts'
import { nearest } from '../../domain/value/nearest.ts'
import { type Read, toCode } from './names.ts'
import { problem } from './problem.ts'

export type Input<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly response: Response }

/** Parses `value` with a schema, into the names of the code; the error response names each wrong field and what it must be. */
export function read<Schema extends z.ZodType>(
  c: Context,
  schema: Schema,
  value: unknown,
): Input<Read<z.output<Schema>>> {
  const parsed = schema.safeParse(value, { error: messageOf })
  if (parsed.success) return { ok: true, value: toCode(schema, parsed.data) }
  const known = 'shape' in schema ? Object.keys(schema.shape as object) : []
  return {
    ok: false,
    response: wrong(
      c,
      parsed.error.issues.flatMap(issue => wrongFields(issue, known)),
    ),
  }
}

/** Where the schema has no message of its own. */
const messageOf = (issue: z.core.$ZodRawIssue) =>
  issue.code === 'invalid_value' ? `must be one of ${issue.values.join(', ')}` : undefined

const wrong = (c: Context, errors: readonly WrongField[]) =>
  problem(c, 422, errors.map(({ detail }) => detail).join('. '), { errors })

/** At most so many unknown fields are named. */
const maxUnknown = 50

type WrongField = { readonly pointer: string; readonly detail: string }

/** The fields of an issue. Each unknown field is named, with the nearest of the `known` ones at the top. */
function wrongFields(issue: z.core.$ZodIssue, known: readonly string[]): WrongField[] {
  if (issue.code !== 'unrecognized_keys') return [wrongField(issue.path, issue.message)]
  return issue.keys.slice(0, maxUnknown).map(key => {
    const meant = issue.path.length === 0 ? nearest(key, known) : null
    return wrongField(
      [...issue.path, key],
      `unknown field${meant === null ? '' : `: did you mean ${meant}?`}`,
    )
  })
}

const wrongField = (path: readonly PropertyKey[], message: string): WrongField => ({
  pointer: path.map(part => `/${escaped(String(part))}`).join(''),
  detail: `${path.join('.') || 'The request'}: ${message}`,
})

/** Parses the JSON body with a schema. `whenEmpty` replaces a missing body, if it is optional. */
export async function readJson<Schema extends z.ZodType>(
  c: Context,
  schema: Schema,
  whenEmpty?: unknown,
): Promise<Input<Read<z.output<Schema>>>> {
  const text = await c.req.text()
  if (text.trim() === '' && whenEmpty !== undefined) return read(c, schema, whenEmpty)
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    return { ok: false, response: problem(c, 400, `The body is not JSON: ${(error as Error).message}.`) }
  }
  const unseen = unseenIn(value).slice(0, maxUnknown)
  if (unseen.length === 0) return read(c, schema, value)
  return {
    ok: false,
    response: wrong(
      c,
      unseen.map(member => wrongField(pathTo(member), impossibleName)),
    ),
  }
}

/** A member's name in a JSON Pointer. https://www.rfc-editor.org/rfc/rfc6901#section-3 */
function escaped(name: string): string {
  return name.replaceAll('~', '~0').replaceAll('/', '~1')
}
