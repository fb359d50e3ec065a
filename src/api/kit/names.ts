import { z } from 'zod'

/** The name in code of a name in JSON: `entity_type` is `entityType`. */
type InCode<Name> = Name extends `${infer Head}_${infer Rest}` ? `${Head}${Capitalize<InCode<Rest>>}` : Name

const inCode = (name: string) => name.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase())

/** What `toJson` writes as this JSON. The names in a record are data, and stay. */
export type ToWrite<Json> = Json extends string
  ? Json | (string extends Json ? Date | bigint : never)
  : Json extends readonly (infer Item)[]
    ? readonly ToWrite<Item>[]
    : Json extends object
      ? string extends keyof Json
        ? Json
        : { readonly [Name in keyof Json as InCode<Name>]: ToWrite<Json[Name]> }
      : Json

/** A schema without what says that a value may be missing. */
function insideOf(schema: z.ZodType): z.ZodType {
  const isOuter =
    schema instanceof z.ZodOptional ||
    schema instanceof z.ZodNullable ||
    schema instanceof z.ZodDefault ||
    schema instanceof z.ZodPrefault
  return isOuter ? insideOf(schema.unwrap() as z.ZodType) : schema
}

/** A value as a schema names it in JSON: nothing beside the schema's fields, times in UTC, and 64-bit ids as text. */
export function toJson(schema: z.ZodType, value: unknown): unknown {
  const inside = insideOf(schema)
  if (value === null || value === undefined) return value
  if (inside instanceof z.ZodArray)
    return (value as readonly unknown[]).map(item => toJson(inside.element as z.ZodType, item))
  if (inside instanceof z.ZodObject) {
    const fields = value as Readonly<Record<string, unknown>>
    const shape = Object.entries<z.ZodType>(inside.shape)
    return Object.fromEntries(shape.map(([name, of]) => [name, toJson(of, fields[inCode(name)])]))
  }
  if (value instanceof Date) return value.toISOString()
  return typeof value === 'bigint' ? String(value) : value
}

/** What `toCode` makes of a parsed request. */
export type Read<Given> = Given extends Date | ReadonlyMap<unknown, unknown>
  ? Given
  : Given extends readonly (infer Item)[]
    ? Read<Item>[]
    : Given extends object
      ? string extends keyof Given
        ? Given
        : { [Name in keyof Given as InCode<Name>]: Read<Given[Name]> }
      : Given

/** What a schema has parsed, in the names of the code. */
export function toCode<Schema extends z.ZodType>(
  schema: Schema,
  parsed: z.output<Schema>,
): Read<z.output<Schema>> {
  return named(schema, parsed) as Read<z.output<Schema>>
}

function named(schema: z.ZodType, parsed: unknown): unknown {
  const inside = insideOf(schema)
  if (parsed === null || parsed === undefined || !(inside instanceof z.ZodObject)) return parsed
  const fields = Object.entries(parsed)
  return Object.fromEntries(
    fields.map(([name, value]) => [inCode(name), named(inside.shape[name] as z.ZodType, value)]),
  )
}
