import { type Definitions, type JsonSchema, typeName } from './definitions.ts'
import type { Field, Nullable, Shape } from './shape.ts'
import type { Kind } from './value-type.ts'

type Written = {
  readonly schema: JsonSchema
  /** A name to define it under, free in every language; absent: inlined. */
  readonly name?: string
  /** An example, and another as its earlier value. */
  readonly examples: readonly [now: unknown, before: unknown]
}

const anInstant = { type: 'string', format: 'date-time' }
/** Dates of Postgres that ISO 8601 can't express. */
const noDate = '^-?infinity$| BC$|^[0-9]{5,}-'
const noNumber = ['NaN', 'Infinity', '-Infinity']

/** By kind. A `format` must hold for every value: exceptions of Postgres are alternatives. */
const byKind: Readonly<Record<Kind, Written>> = {
  boolean: { schema: { type: 'boolean' }, examples: [true, false] },
  int16: { schema: { type: 'integer', minimum: -32_768, maximum: 32_767 }, examples: [1, 0] },
  int32: { schema: { type: 'integer', format: 'int32' }, examples: [1, 0] },
  int64: {
    schema: {
      type: 'integer',
      format: 'int64',
      description: 'Up to 64 bits: JavaScript rounds beyond 2^53.',
    },
    examples: [1, 0],
  },
  oid: { schema: { type: 'integer', minimum: 0, maximum: 4_294_967_295 }, examples: [1, 0] },
  number: {
    name: 'Numeric',
    schema: {
      description: 'A number with all its digits, or a string where it is none.',
      anyOf: [{ type: 'number' }, { type: 'string', enum: noNumber }],
    },
    examples: [12.5, 10],
  },
  json: { schema: { description: 'Any JSON, null too.' }, examples: [{}, null] },
  instant: {
    name: 'DateTime',
    schema: {
      description:
        'UTC, such as 2019-11-05T07:56:15.25Z; infinity, years before Christ and after 9999 as Postgres writes them.',
      anyOf: [anInstant, { type: 'string', pattern: noDate }],
    },
    examples: ['2026-01-01T12:00:00Z', '2025-12-31T12:00:00Z'],
  },
  count: {
    name: 'DateTimeOrCount',
    schema: {
      description:
        'UTC, such as 2019-11-05T07:56:15.25Z; outside the years 1 to 9999, the stored number as a string.',
      anyOf: [anInstant, { type: 'string', pattern: '^-?([0-9]+([.][0-9]+)?|NaN|Infinity)$' }],
    },
    examples: ['2026-01-01T12:00:00Z', '2025-12-31T12:00:00Z'],
  },
  unix: {
    name: 'UnixTime',
    schema: {
      description: 'Counted from 1970, or a string where it is infinite.',
      anyOf: [
        { type: 'integer', format: 'int64' },
        { type: 'string', enum: ['infinity', '-infinity'] },
      ],
    },
    examples: [1_767_268_800, 1_767_182_400],
  },
  date: {
    name: 'CalendarDate',
    schema: {
      description: 'As 2019-11-05; infinity, years before Christ and after 9999 as Postgres writes them.',
      anyOf: [
        { type: 'string', format: 'date' },
        { type: 'string', pattern: noDate },
      ],
    },
    examples: ['2026-01-01', '2025-12-31'],
  },
  local: {
    schema: { type: 'string', description: 'A time as 2019-11-05 07:56:15.25, which says no time zone.' },
    examples: ['2026-01-01 12:00:00', '2025-12-31 12:00:00'],
  },
  time: {
    schema: { type: 'string', description: 'A time of day as 07:56:15.25.' },
    examples: ['12:00:00', '09:00:00'],
  },
  uuid: {
    schema: { type: 'string', format: 'uuid' },
    examples: ['3f333df6-90a4-4fda-8dd3-9485d27cee36', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'],
  },
  base64: { schema: { type: 'string', contentEncoding: 'base64' }, examples: ['AP8Q', 'AA=='] },
  hex: { schema: { type: 'string', description: 'Hexadecimal digits.' }, examples: ['00ff10', '00'] },
  text: { schema: { type: 'string' }, examples: ['text', 'before'] },
  'number text': { schema: { type: 'string', description: 'A number as text.' }, examples: ['1', '0'] },
  'flag text': { schema: { type: 'string', enum: ['true', 'false'] }, examples: ['true', 'false'] },
  'json text': { schema: { type: 'string', description: 'JSON as text.' }, examples: ['{}', 'null'] },
}

/** The schema of a shape's values. `name`: the name for a type of its own. */
function shapeSchema(shape: Shape, name: string, definitions: Definitions): JsonSchema {
  switch (shape.kind) {
    case 'enum':
      return { type: 'string', ...(shape.labels.length > 0 && { enum: shape.labels }) }
    case 'bounded text':
      return { type: 'string', maxLength: shape.max }
    case 'fixed':
      return { const: JSON.parse(shape.json) }
    case 'array':
      return definitions.define(`${name}List`, own => {
        const item = shapeSchema(shape.of, name, definitions)
        return { type: 'array', items: { anyOf: [item, { type: 'null' }, own] } }
      })
    case 'list':
      return { type: 'array', items: nullableSchema(shape.of, name, definitions) }
    case 'object':
      return objectSchema(shape.fields, name, definitions)
    case 'named': {
      const value = nullableSchema(shape.of, name, definitions)
      return shape.names === null
        ? { type: 'object', additionalProperties: value }
        : { type: 'object', properties: Object.fromEntries(shape.names.map(each => [each, value])) }
    }
    default: {
      const { schema, name: defined } = byKind[shape.kind]
      return defined === undefined ? schema : definitions.define(defined, () => schema)
    }
  }
}

/** Nothing is required: unknown values and dropped columns are omitted. */
export function objectSchema(fields: readonly Field[], name: string, definitions: Definitions): JsonSchema {
  const properties = fields.map(field => [
    field.name,
    nullableSchema(field, typeName(name, field.name), definitions),
  ])
  return { type: 'object', properties: Object.fromEntries(properties) }
}

function nullableSchema({ shape, mayBeNull }: Nullable, name: string, definitions: Definitions): JsonSchema {
  const schema = shapeSchema(shape, name, definitions)
  if (!mayBeNull || shape.kind === 'json') return schema
  if (Array.isArray(schema.enum)) return { ...schema, type: ['string', 'null'], enum: [...schema.enum, null] }
  return typeof schema.type === 'string' && schema.properties === undefined
    ? { ...schema, type: [schema.type, 'null'] }
    : { anyOf: [schema, { type: 'null' }] }
}

/** An example value of a shape, without stored data. `at` 1: another one, as its earlier value. */
export function exampleOf(shape: Shape, at: 0 | 1 = 0): unknown {
  switch (shape.kind) {
    case 'enum':
      return shape.labels[Math.min(at, shape.labels.length - 1)] ?? ''
    case 'bounded text':
      return String(byKind.text.examples[at]).slice(0, shape.max)
    case 'fixed':
      return JSON.parse(shape.json)
    case 'array':
      return at === 0 ? [exampleOf(shape.of)] : []
    case 'list':
      return [exampleOf(shape.of.shape)]
    case 'object':
      return exampleObject(shape.fields)
    case 'named':
      return Object.fromEntries(
        (shape.names ?? ['name']).map(name => [name, exampleOf(shape.of.shape)] as const),
      )
    case 'text':
      return at === 0 && shape.sample !== undefined ? shape.sample : byKind.text.examples[at]
    default:
      return byKind[shape.kind].examples[at]
  }
}

export function exampleObject(fields: readonly Field[]): Record<string, unknown> {
  return Object.fromEntries(fields.map(({ name, shape }) => [name, exampleOf(shape)]))
}
