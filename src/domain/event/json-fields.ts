/**
 * Reads the fields of a JSON object, or the items of a list, as the texts that stand there: no number loses a digit, and what
 * is inside a value is skipped, not parsed. The text must be JSON.
 */

/** Fields of a JSON object by their names, each as its JSON; undefined where there is none. */
export type Fields = { get(name: string, key?: string): string | undefined }

/** A name as it stands in an object, with its colon. */
export const keyOf = (name: string) => `${JSON.stringify(name)}:`

/**
 * The fields of the object that begins at `at` and ends the text; it has no name twice. Before the first thing in it that looks like another
 * object, a name with quotes and colon is a name of its own and nothing else, since quotes within a string are escaped: where it stands
 * there, it is looked up. Else the fields are walked up to it, once for all that are asked for, and no value is copied.
 */
export function openFields(json: string, at: number): Fields {
  const isObject = json.charCodeAt(at) === openBrace
  const nested = json.indexOf('{', at + 1)
  const flatUpTo = nested < 0 ? json.length : nested
  const places: number[] = []
  let next = isObject ? skipSpace(json, at + 1) : json.length
  return {
    get(name, key = keyOf(name)) {
      if (!isObject) return undefined
      if (places.length === 0) {
        const found = json.lastIndexOf(key, flatUpTo)
        // Behind a backslash it is the end of a longer name.
        if (found > at && json.charCodeAt(found - 1) !== backslash) {
          const from = skipSpace(json, found + key.length)
          return json.slice(from, endOfValue(json, from))
        }
      }
      for (let i = 0; ; i += 2) {
        if (i === places.length) next = walkOn(json, next, places)
        if (i === places.length) return undefined
        if (isName(json, places[i]!, places[i + 1]!, name, key)) return valueAt(json, places[i + 1]!)
      }
    },
  }
}

/** The fields of the object that begins at `at`, by name, each with its JSON; null where no object begins there. */
export function fieldsAt(json: string, at: number): Map<string, string> | null {
  let next = skipSpace(json, at)
  if (json.charCodeAt(next) !== openBrace) return null
  const places: number[] = []
  next = skipSpace(json, next + 1)
  const fields = new Map<string, string>()
  for (let i = 0; ; i += 2) {
    next = walkOn(json, next, places)
    if (i === places.length) return fields
    const end = places[i + 1]!
    fields.set(textOf(json.slice(places[i]!, Math.abs(end))), valueAt(json, end))
  }
}

/**
 * Notes where the name of the next field begins and ends; the end is negative where the name has an escape. Adds nothing at
 * the end of the object. Returns where to go on.
 */
function walkOn(json: string, at: number, places: number[]): number {
  if (json.charCodeAt(at) !== quote) return at
  let nameEnd = at + 1
  let code = json.charCodeAt(nameEnd)
  for (; code !== quote && code !== backslash; code = json.charCodeAt(nameEnd)) nameEnd++
  nameEnd = code === quote ? nameEnd + 1 : endOfString(json, at)
  places.push(at, code === quote ? nameEnd : -nameEnd)
  const to = endOfValue(json, skipSpace(json, skipSpace(json, nameEnd) + 1))
  const end = skipSpace(json, to)
  return json.charCodeAt(end) === comma ? skipSpace(json, end + 1) : end
}

/** Whether the string at a place says the name, in whichever spelling. `key` is its usual one, with a colon. */
function isName(json: string, from: number, end: number, name: string, key: string): boolean {
  if (end < 0) return textOf(json.slice(from, -end)) === name
  const last = key.length - 2
  if (end - from !== last + 1) return false
  for (let i = 1; i < last; i++) if (json.charCodeAt(from + i) !== key.charCodeAt(i)) return false
  return true
}

/** The value of a field whose name ends at a place. */
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
