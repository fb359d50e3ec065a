/** A JSON Schema. https://json-schema.org/draft/2020-12 */
export type JsonSchema = { readonly [keyword: string]: unknown }

/** The `$defs` of a document. */
export type Definitions = {
  /** Defines a schema under the name `preferred`, or with a number after it; equal schemas are defined once. */
  define(preferred: string, write: (ref: JsonSchema) => JsonSchema): JsonSchema
  readonly all: () => { readonly [name: string]: JsonSchema }
}

export function createDefinitions(): Definitions {
  const defined = new Map<string, { schema: JsonSchema; text: string }>()
  return {
    define(preferred, write) {
      for (let i = 1; ; i++) {
        const name = i === 1 ? preferred : `${preferred}${i}`
        const ref = { $ref: `#/$defs/${name}` }
        const known = defined.get(name)
        // Reserves the name: its own parts may prefer the same one.
        if (!known) defined.set(name, { schema: {}, text: '' })
        const schema = write(ref)
        const text = JSON.stringify(schema)
        if (!known) defined.set(name, { schema, text })
        if (!known || known.text === text) return ref
      }
    },
    all: () => Object.fromEntries([...defined].map(([name, { schema }]) => [name, schema])),
  }
}

/** `UserAddress` from `user`, `address`: generators of types keep such a name, and a reference need not encode it. */
export function typeName(...parts: readonly string[]): string {
  const words = parts.flatMap(part => part.split(/[^A-Za-z0-9]+/)).filter(word => word !== '')
  return words.map(word => word[0]!.toUpperCase() + word.slice(1)).join('') || 'Value'
}
