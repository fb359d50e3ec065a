/**
 * Reads the fields of a JSON object, or the items of a list, as the texts that stand there: no number loses a digit, and what
 * is inside a value is skipped, not parsed. The text must be JSON.
 */

/** Fields of a JSON object by their names, each as its JSON; undefined where there is none. */
export type Fields = { get(name: string, key?: string): string | undefined }

/** A name as it stands in an object, with its colon. */
export const keyOf = (name: string) => `${JSON.stringify(name)}:`

/**
 * The fields of the object that begins at `at` and ends the text. Before the first thing in it that looks like another object, a name with
 * quotes and colon is a name of its own and nothing else, since quotes within a string are escaped: where it stands there, and not
 * again behind, it is looked up, and the rest is not read.
 */
export function openFields(json: string, at: number): Fields {
  let all: Map<string, string> | null = null
  const isObject = json.charCodeAt(at) === openBrace
  const nested = json.indexOf('{', at + 1)
  const flatUpTo = nested < 0 ? json.length : nested
  return {
    get(name, key = keyOf(name)) {
      if (all === null && isObject) {
        const found = json.lastIndexOf(key)
        // Behind a backslash it is the end of a longer name.
        if (found > at && found < flatUpTo && json.charCodeAt(found - 1) !== backslash) {
          const from = skipSpace(json, found + key.length)
          return json.slice(from, endOfValue(json, from))
        }
      }
      all ??= fieldsAt(json, at) ?? new Map()
      return all.get(name)
    },
  }
}

/** The fields of the object that begins at `at`, by name, each with its JSON; null where no object begins there. */
export function fieldsAt(json: string, at: number): Map<string, string> | null {
  let next = skipSpace(json, at)
  if (json.charCodeAt(next) !== openBrace) return null
  const fields = new Map<string, string>()
  next = skipSpace(json, next + 1)
  while (json.charCodeAt(next) === quote) {
    const nameEnd = endOfString(json, next)
    const name = textOf(json.slice(next, nameEnd))
    const from = skipSpace(json, skipSpace(json, nameEnd) + 1)
    const to = endOfValue(json, from)
    fields.set(name, json.slice(from, to))
    next = skipSpace(json, to)
    if (json.charCodeAt(next) !== comma) break
    next = skipSpace(json, next + 1)
  }
  return fields
}

/** The items of a list, each as JSON. `json` begins with its bracket. */
export function itemsOf(json: string): string[] {
  const items: string[] = []
  let next = skipSpace(json, 1)
  while (next < json.length && json.charCodeAt(next) !== closeBracket) {
    const to = endOfValue(json, next)
    items.push(json.slice(next, to))
    next = skipSpace(json, to)
    if (json.charCodeAt(next) === comma) next = skipSpace(json, next + 1)
  }
  return items
}

/** What a JSON string says; most have no escape. */
export function textOf(json: string): string {
  return json.includes('\\') ? JSON.parse(json) : json.slice(1, -1)
}

const [quote, comma, backslash] = [0x22, 0x2c, 0x5c]
const [openBrace, closeBrace, openBracket, closeBracket] = [0x7b, 0x7d, 0x5b, 0x5d]

function skipSpace(json: string, at: number): number {
  let next = at
  for (;;) {
    const code = json.charCodeAt(next)
    if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return next
    next++
  }
}

/** The place after the string that begins at `at`. */
function endOfString(json: string, at: number): number {
  let end = json.indexOf('"', at + 1)
  while (end > 0) {
    let escapes = 0
    while (json.charCodeAt(end - 1 - escapes) === backslash) escapes++
    if (escapes % 2 === 0) return end + 1
    end = json.indexOf('"', end + 1)
  }
  return json.length
}

/** The place after the value that begins at `at`. */
function endOfValue(json: string, at: number): number {
  const first = json.charCodeAt(at)
  if (first === quote) return endOfString(json, at)
  if (first === openBrace || first === openBracket) return endOfNested(json, at)
  let next = at
  for (; next < json.length; next++) {
    const code = json.charCodeAt(next)
    if (code === comma || code === closeBrace || code === closeBracket || code <= 0x20) break
  }
  return next
}

function endOfNested(json: string, at: number): number {
  let depth = 0
  for (let next = at; next < json.length; ) {
    const code = json.charCodeAt(next)
    if (code === quote) {
      next = endOfString(json, next)
      continue
    }
    if (code === openBrace || code === openBracket) depth++
    else if ((code === closeBrace || code === closeBracket) && --depth === 0) return next + 1
    next++
  }
  return json.length
}
