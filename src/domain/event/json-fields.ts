/**
 * Reads the fields of a JSON object, or the items of a list, as texts: numbers keep every digit, and the inside of a value is
 * skipped, not parsed. The text must be JSON.
 */

/** A JSON object's fields by name, each as JSON; undefined: absent. */
export type Fields = { get(name: string, key?: string): string | undefined }

/** A name as it is written in an object, with its colon. */
export const keyOf = (name: string) => `${JSON.stringify(name)}:`

/**
 * The fields of the object from `at` to the end of the text; names are unique. Between nested objects, a quoted name with its
 * colon can only be a name, because quotes in strings are escaped: a text search finds it. Results and the ends of objects
 * are cached.
 */
export function openFields(json: string, at: number): Fields {
  const found = new Map<string, string | undefined>()
  /** The bounds of the parts without objects. */
  const flat: number[] = []
  let next = json.charCodeAt(at) === openBrace ? at + 1 : json.length
  return {
    get(name, key = keyOf(name)) {
      const known = found.get(name)
      if (known !== undefined || found.has(name)) return known
      const value = (mayBeLookedUp(name) ? findValue(key) : undefined) ?? walkTo(json, at, name, key)
      found.set(name, value)
      return value
    },
  }

  function findValue(key: string): string | undefined {
    for (let i = 0; ; i += 2) {
      if (i === flat.length) {
        if (next >= json.length) return undefined
        const brace = json.indexOf('{', next)
        flat.push(next, brace < 0 ? json.length : brace)
        next = brace < 0 ? json.length : endOfObjects(json, next, brace)
      }
      const found = json.indexOf(key, flat[i]!)
      if (found < 0) return undefined
      // After a backslash it is the end of a longer name, or of a string.
      if (found < flat[i + 1]! && json.charCodeAt(found - 1) !== backslash) {
        const from = skipSpace(json, found + key.length)
        return json.slice(from, endOfValue(json, from))
      }
    }
  }
}

/** Excludes names that begin like the text after a string: its end, with the quote, would look like the name. */
function mayBeLookedUp(name: string): boolean {
  const first = name.charCodeAt(0)
  return !(
    first === comma ||
    first === colon ||
    first === closeBrace ||
    first === closeBracket ||
    first <= 0x20
  )
}

/**
 * The offset after the value that contains the brace, the first one after `from`, an offset between two fields: an object or a
 * list of objects if an unescaped name precedes it. Otherwise the brace may be in a string, and the fields are walked.
 */
function endOfObjects(json: string, from: number, brace: number): number {
  const before = json.charCodeAt(brace - 1)
  const colonAt = before === openBracket ? brace - 2 : brace - 1
  const isNamed =
    json.charCodeAt(colonAt) === colon &&
    json.charCodeAt(colonAt - 1) === quote &&
    json.charCodeAt(colonAt - 2) !== backslash
  if (isNamed) return endOfNested(json, colonAt + 1)
  const offsets: number[] = []
  let next = skipSpace(json, from)
  if (json.charCodeAt(next) === comma) next = skipSpace(json, next + 1)
  while (next <= brace) {
    const to = walkOn(json, next, offsets)
    if (to === next) return json.length
    next = to
  }
  return next
}

/** The value of a field, whatever the spelling of its name. */
function walkTo(json: string, at: number, name: string, key: string): string | undefined {
  if (json.charCodeAt(at) !== openBrace) return undefined
  const offsets: number[] = []
  let next = skipSpace(json, at + 1)
  for (let i = 0; ; i += 2) {
    next = walkOn(json, next, offsets)
    if (i === offsets.length) return undefined
    if (isName(json, offsets[i]!, offsets[i + 1]!, name, key)) return valueAt(json, offsets[i + 1]!)
  }
}

/** The fields of the object at `at`, by name, each as JSON; null: no object begins there. */
export function fieldsAt(json: string, at: number): Map<string, string> | null {
  let next = skipSpace(json, at)
  if (json.charCodeAt(next) !== openBrace) return null
  const offsets: number[] = []
  next = skipSpace(json, next + 1)
  const fields = new Map<string, string>()
  for (let i = 0; ; i += 2) {
    next = walkOn(json, next, offsets)
    if (i === offsets.length) return fields
    const end = offsets[i + 1]!
    fields.set(textOf(json.slice(offsets[i]!, Math.abs(end))), valueAt(json, end))
  }
}

/**
 * Appends the bounds of the next field's name (a negative end: it has an escape), or nothing at the end of the object.
 * Returns where to continue.
 */
function walkOn(json: string, at: number, offsets: number[]): number {
  if (json.charCodeAt(at) !== quote) return at
  let nameEnd = at + 1
  let code = json.charCodeAt(nameEnd)
  for (; code !== quote && code !== backslash; code = json.charCodeAt(nameEnd)) nameEnd++
  nameEnd = code === quote ? nameEnd + 1 : endOfString(json, at)
  offsets.push(at, code === quote ? nameEnd : -nameEnd)
  const to = endOfValue(json, skipSpace(json, skipSpace(json, nameEnd) + 1))
  const end = skipSpace(json, to)
  return json.charCodeAt(end) === comma ? skipSpace(json, end + 1) : end
}

/** Whether the string at an offset is the name, in any spelling. `key` is its usual spelling, with a colon. */
function isName(json: string, from: number, end: number, name: string, key: string): boolean {
  if (end < 0) return textOf(json.slice(from, -end)) === name
  const last = key.length - 2
  if (end - from !== last + 1) return false
  for (let i = 1; i < last; i++) if (json.charCodeAt(from + i) !== key.charCodeAt(i)) return false
  return true
}

function valueAt(json: string, nameEnd: number): string {
  const from = skipSpace(json, skipSpace(json, Math.abs(nameEnd)) + 1)
  return json.slice(from, endOfValue(json, from))
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

/** The text of a JSON string; most have no escape. */
export function textOf(json: string): string {
  return json.includes('\\') ? JSON.parse(json) : json.slice(1, -1)
}

const [quote, comma, colon, backslash] = [0x22, 0x2c, 0x3a, 0x5c]
const [openBrace, closeBrace, openBracket, closeBracket] = [0x7b, 0x7d, 0x5b, 0x5d]

function skipSpace(json: string, at: number): number {
  let next = at
  for (;;) {
    const code = json.charCodeAt(next)
    if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return next
    next++
  }
}

/** The offset after the string at `at`. */
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

/** The offset after the value at `at`. */
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
