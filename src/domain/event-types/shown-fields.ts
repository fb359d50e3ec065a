import type { JsonSchema } from './definitions.ts'

/** A type in one word, for a list of fields. */
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
  /** A list of that type. */
  readonly isList: boolean
  readonly mayBeNull: boolean
  /** All values of an enum. */
  readonly values?: readonly unknown[]
  /** The fields of an object with known names. */
  readonly fields?: readonly ShownField[]
  readonly description?: string
}

/** The fields of `result` (of a delete: `last`) in the schema of a body. */
export function shownFields(schema: JsonSchema): ShownField[] {
  const { properties } = schema as { properties: Record<string, JsonSchema> }
  const content = properties.result ?? properties.last
  return content ? fieldsOf(resolved(content, schema), schema) : []
}

function fieldsOf({ properties = {} }: JsonSchema, root: JsonSchema): ShownField[] {
  return Object.entries(properties as Record<string, JsonSchema>).map(([name, schema]) => ({
    name,
    ...shownOf(schema, root),
  }))
}

type Shown = Omit<ShownField, 'name'>

/** The first alternative: the others are for values that the type can't express. */
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
