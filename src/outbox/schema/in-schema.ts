/** The schema of the main outbox, which every statement and migration names. */
export const mainSchema = 'walhook'

/** A name that needs no quotes; whether it is a reserved word, only Postgres knows. */
export const isSchemaName = (name: string): boolean => /^[a-z_][a-z0-9_]{0,39}$/.test(name)

/** Advisory locks belong to a whole database, so each schema has its own keys. */
const lockKeys = new Set<string>()

/** A key of advisory locks as SQL, for this outbox alone: 10 digits, at most 2^31 - 1. */
export function lockKey(key: number): string {
  lockKeys.add(String(key))
  return String(key)
}

const inText =
  /\bwalhook(?=\.)|"walhook"|(?<=regnamespace\()'walhook'|'walhook'(?=::regnamespace)|(?<=nspname = )'walhook'|(?<=create schema )walhook\b|\bwalhook(?=_outbox\b)|\b\d{10}\b/g

/** More statements than walhook has, including those of migrations and filters. */
const maxKnown = 2_000

/**
 * Creates the function that rewrites statements, migrations, channels and lock keys, which name the main schema, for another
 * one. Null: the main schema, without a rewrite.
 */
export function writeFor(schema: string): Write | null {
  if (schema === mainSchema) return null
  const write = writers.get(schema) ?? openWriter(schema)
  writers.set(schema, write)
  return write
}

type Write = (text: string) => string
const writers = new Map<string, Write>()

function openWriter(schema: string): Write {
  const known = new Map<string, string>()
  const salt = hashOf(schema)
  const write = (text: string) =>
    text.replace(inText, found => {
      if (/^\d/.test(found)) return lockKeys.has(found) ? String(Number(found) ^ salt) : found
      return found.replace(mainSchema, schema)
    })
  return text => {
    let written = known.get(text)
    if (written === undefined) {
      written = write(text)
      if (known.size >= maxKnown) known.clear()
      known.set(text, written)
    }
    return written
  }
}

/** 30 bits of FNV-1a: keys stay ten digits or fewer, and positive. */
function hashOf(text: string): number {
  let hash = 2_166_136_261
  for (const byte of Buffer.from(text)) hash = Math.imul(hash ^ byte, 16_777_619) >>> 0
  return hash & 0x3fff_ffff
}
