import type { JsonSchema } from './definitions.ts'

/** A type in one word, for people who read a list of fields. */
export const shownTypes = [
  'boolean',
  'integer',
  'number',
  'string',
  'date-time',
  'date',
  'uuid',
  'base64',
  'enum',
  'object',
  'any',
] as const

export type ShownField = {
  readonly name: string
  readonly type: (typeof shownTypes)[number]
  /** Whether it is a list of that type. */
  readonly isList: boolean
  readonly mayBeNull: boolean
  /** Of an enum, all values. */
  readonly values?: readonly unknown[]
  /** Of an object whose names are known. */
  readonly fields?: readonly ShownField[]
  readonly description?: string
}

/** The fields of `result` (of a delete: of `last`) that a schema of a body describes. */
export function shownFields(schema: JsonSchema): ShownField[] {
  const { properties } = schema as { properties: Record<string, JsonSchema> }
  const told = properties.result ?? properties.last
  return told ? fieldsOf(resolved(told, schema), schema) : []
}

function fieldsOf({ properties = {} }: JsonSchema, root: JsonSchema): ShownField[] {
  return Object.entries(properties as Record<string, JsonSchema>).map(([name, schema]) => ({
    name,
    ...shownOf(schema, root),
  }))
}

type Shown = Omit<ShownField, 'name'>

/** By the first of the alternatives: the others are for what the type has no form for. */
function shownOf(schema: JsonSchema, root: JsonSchema): Shown {
  const whole = resolved(schema, root)
  const alternatives = (whole.anyOf as readonly JsonSchema[] | undefined) ?? [whole]
  const mayBeNull = alternatives.some(isNull) || isNull(whole)
  const [first = whole] = alternatives.filter(({ type }) => type !== 'null')
  if (first !== whole) {
    const { description = whole.description, ...shown } = shownOf(first, root)
    return {
      ...shown,
      mayBeNull: mayBeNull || shown.mayBeNull,
      ...(typeof description === 'string' && { description }),
    }
  }
  const { description } = whole
  return { ...typeOf(whole, root), mayBeNull, ...(typeof description === 'string' && { description }) }
}

const isNull = ({ type }: JsonSchema) => [type].flat().includes('null')

function resolved(schema: JsonSchema, root: JsonSchema): JsonSchema {
  if (typeof schema.$ref !== 'string') return schema
  const { $ref, ...beside } = schema
  const { $defs = {} } = root as { $defs?: Record<string, JsonSchema> }
  return { ...$defs[($ref as string).replace('#/$defs/', '')], ...beside }
}

function typeOf(schema: JsonSchema, root: JsonSchema): Omit<Shown, 'mayBeNull' | 'description'> {
  const type = [schema.type].flat().find(each => each !== 'null')
  if ('const' in schema) return { type: 'enum', isList: false, values: [schema.const] }
  if (Array.isArray(schema.enum))
    return { type: 'enum', isList: false, values: schema.enum.filter(each => each !== null) }
  switch (type) {
    case 'array': {
      const { description: _, mayBeNull: __, ...item } = shownOf((schema.items ?? {}) as JsonSchema, root)
      return { ...item, isList: true }
    }
    case 'object': {
      const fields = fieldsOf(schema, root)
      return { type: 'object', isList: false, ...(fields.length > 0 && { fields }) }
    }
    case 'boolean':
    case 'integer':
    case 'number':
      return { type, isList: false }
    case 'string': {
      const named = shownTypes.find(each => each === schema.format || each === schema.contentEncoding)
      return { type: named ?? 'string', isList: false }
    }
    default:
      return { type: 'any', isList: false }
  }
}
