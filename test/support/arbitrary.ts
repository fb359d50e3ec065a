import fc from 'fast-check'
import type { JsonSchema } from '../../src/api/kit/document.ts'
import { document } from './check-response.ts'

/** Texts that have broken programs: HTML, quotes of every sort, NUL, halves of characters, numbers that are none. */
export const hostileTexts = [
  '',
  ' ',
  '<script>alert(1)</script>',
  '"><img src=x onerror=alert(1)>',
  "' or '1'='1",
  '../../etc/passwd',
  '%00',
  'a\u0000b',
  '\ud800',
  '\u202eevil',
  '{{7*7}}',
  '__proto__',
  'constructor',
  'NaN',
  '1e999',
  '-0',
  '9'.repeat(19),
  '9'.repeat(40),
  'x'.repeat(3_000),
]

/** Values that a schema of the document allows. */
export function valid(schema: JsonSchema): fc.Arbitrary<unknown> {
  if (typeof schema.$ref === 'string')
    return valid(document.components.schemas[schema.$ref.split('/').at(-1)!]!)
  if ('const' in schema) return fc.constant(schema.const)
  if (Array.isArray(schema.enum)) return fc.constantFrom(...schema.enum)
  const choices = (schema.anyOf ?? schema.oneOf) as JsonSchema[] | undefined
  if (choices) return fc.oneof(...choices.map(valid))
  if (Array.isArray(schema.type)) return fc.oneof(...schema.type.map(type => valid({ ...schema, type })))
  switch (schema.type) {
    case 'null':
      return fc.constant(null)
    case 'boolean':
      return fc.boolean()
    case 'integer':
      return integer(schema)
    case 'number':
      return fc.double({ noNaN: true, noDefaultInfinity: true })
    case 'string':
      return text(schema)
    case 'array':
      return fc.array(valid((schema.items ?? {}) as JsonSchema), {
        minLength: Number(schema.minItems ?? 0),
        maxLength: Math.min(Number(schema.maxItems ?? 4), 4),
      })
    case 'object':
      return object(schema)
    default:
      return fc.jsonValue({ maxDepth: 2 })
  }
}

function integer({ minimum, maximum }: JsonSchema): fc.Arbitrary<number> {
  return fc.integer({
    min: Math.max(Number(minimum ?? -(2 ** 31)), -(2 ** 31)),
    max: Math.min(Number(maximum ?? 2 ** 31 - 1), 2 ** 31 - 1),
  })
}

function text({ pattern, format, minLength = 0, maxLength = 40 }: JsonSchema): fc.Arbitrary<string> {
  if (format === 'date-time')
    return fc
      .date({ min: new Date('2020-01-01'), max: new Date('2100-01-01'), noInvalidDate: true })
      .map(date => date.toISOString())
  if (typeof pattern === 'string') return fc.stringMatching(new RegExp(pattern))
  return fc.string({
    minLength: Number(minLength),
    maxLength: Math.min(Number(maxLength), 40),
    unit: 'grapheme',
  })
}

function object(schema: JsonSchema): fc.Arbitrary<unknown> {
  const properties = (schema.properties ?? {}) as Record<string, JsonSchema>
  const required = (schema.required ?? []) as string[]
  if (schema.properties === undefined && typeof schema.additionalProperties === 'object')
    return fc.dictionary(fc.string({ maxLength: 10 }), valid(schema.additionalProperties as JsonSchema), {
      maxKeys: 3,
    })
  const optional = Object.keys(properties).filter(name => !required.includes(name))
  return some(optional).chain(chosen =>
    fc.record(
      Object.fromEntries(
        [...required, ...chosen].map(name => [name, sensible[name] ?? valid(properties[name]!)] as const),
      ),
    ),
  )
}

/** Few of several names: many calls take one thing or another, which a schema does not say. */
export function some(names: readonly string[]): fc.Arbitrary<string[]> {
  return fc.oneof(
    { weight: 3, arbitrary: fc.subarray([...names], { maxLength: Math.min(2, names.length) }) },
    fc.subarray([...names]),
  )
}

/** Where any text fits the schema but few mean something: so that a good part of the calls succeeds. */
export const sensible: Record<string, fc.Arbitrary<unknown>> = {
  triggers: fc.subarray(['user.new', 'user.update', 'user.delete', 'company.new'], { minLength: 1 }),
  url: fc.constantFrom('https://crm.example.com/hooks', 'https://127.0.0.1:1/', 'http://127.0.0.1:1/a?b=<i>'),
  user_id: fc.constantFrom(7, '8', 9, 'nobody'),
  entity_type: fc.constantFrom('user', 'company'),
  update_fields: fc.constantFrom<unknown>(null, ['user.email'], ['company.name', 'user.id']),
  filter: fc.constantFrom<unknown>(
    { 'user.id': 7 },
    { 'user.email': ['a@example.com', null], 'company.name': 'Acme' },
  ),
  outcome: fc.constantFrom('delivered', 'refused,unreachable'),
  trigger: fc.constantFrom('test', 'schedule,manual'),
}

/** A value with one thing wrong in it: a field of another sort, without one, with one that there is not. */
export function spoilt(value: fc.Arbitrary<unknown>): fc.Arbitrary<unknown> {
  const anything = fc.oneof(fc.constantFrom<unknown>(...hostileTexts), fc.jsonValue({ maxDepth: 3 }))
  return fc
    .tuple(value, fc.nat(), anything, fc.constantFrom('set', 'drop', 'add', 'replace'))
    .map(([whole, at, other, how]) => {
      if (how === 'replace' || typeof whole !== 'object' || whole === null) return other
      const fields = Object.keys(whole)
      const name = fields[at % Math.max(1, fields.length)] ?? 'name'
      if (how === 'add') return { ...whole, [hostileTexts[at % hostileTexts.length]!]: other }
      const { [name]: _, ...rest } = whole as Record<string, unknown>
      return how === 'drop' ? rest : { ...rest, [name]: other }
    })
}
