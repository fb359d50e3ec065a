/**
 * Reads the fields of a JSON object, or the items of a list, as the texts that stand there: no number loses a digit, and what
 * is inside a value is skipped, not parsed. The text must be JSON.
 */

/** Fields of a JSON object by their names, each as its JSON; undefined where there is none. */
export type Fields = { get(name: string, key?: string): string | undefined }

/** A name as it stands in an object, with its colon. */
export const keyOf = (name: string) => `${JSON.stringify(name)}:`

/**
 * The fields of the object that begins at `at` and ends the text; it has no name twice. Between the objects in it, a name with quotes and
 * colon is a name of its own and nothing else, since quotes within a string are escaped: there it is looked up. What was looked up once is
 * kept, and so is where the objects end: many ask for the same.
 */
export function openFields(json: string, at: number): Fields {
  const found = new Map<string, string | undefined>()
  /** Where parts without objects begin and end. */
  const flat: number[] = []
  let next = json.charCodeAt(at) === openBrace ? at + 1 : json.length
  return {
    get(name, key = keyOf(name)) {
      const known = found.get(name)
      if (known !== undefined || found.has(name)) return known
      const value = (mayBeLookedUp(name) ? lookUp(key) : undefined) ?? walkTo(json, at, name, key)
      found.set(name, value)
      return value
    },
  }

  function lookUp(key: string): string | undefined {
    for (let i = 0; ; i += 2) {
      if (i === flat.length) {
        if (next >= json.length) return undefined
        const brace = json.indexOf('{', next)
        flat.push(next, brace < 0 ? json.length : brace)
        next = brace < 0 ? json.length : endOfObjects(json, next, brace)
      }
      const place = json.indexOf(key, flat[i]!)
      if (place < 0) return undefined
      // Behind a backslash it is the end of a longer name, or of a string.
      if (place < flat[i + 1]! && json.charCodeAt(place - 1) !== backslash) {
        const from = skipSpace(json, place + key.length)
        return json.slice(from, endOfValue(json, from))
      }
    }
  }
}

/** Not one that begins as what may follow a string: the end of that, with its quote, would look like the name. */
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
 * The place after the value that has the brace, which is the first one behind `from`, a place between two fields: that of an object or of
 * a list of objects where its name is in front of it, unescaped. Else it may stand in a string: the fields are walked.
 */
function endOfObjects(json: string, from: number, brace: number): number {
  const before = json.charCodeAt(brace - 1)
  const colonAt = before === openBracket ? brace - 2 : brace - 1
  const isNamed =
    json.charCodeAt(colonAt) === colon &&
    json.charCodeAt(colonAt - 1) === quote &&
    json.charCodeAt(colonAt - 2) !== backslash
  if (isNamed) return endOfNested(json, colonAt + 1)
  const places: number[] = []
  let next = skipSpace(json, from)
  if (json.charCodeAt(next) === comma) next = skipSpace(json, next + 1)
  while (next <= brace) {
    const to = walkOn(json, next, places)
    if (to === next) return json.length
    next = to
  }
  return next
}

/** The value of a field in whichever spelling its name has. */
function walkTo(json: string, at: number, name: string, key: string): string | undefined {
  if (json.charCodeAt(at) !== openBrace) return undefined
  const places: number[] = []
  let next = skipSpace(json, at + 1)
  for (let i = 0; ; i += 2) {
    next = walkOn(json, next, places)
    if (i === places.length) return undefined
    if (isName(json, places[i]!, places[i + 1]!, name, key)) return valueAt(json, places[i + 1]!)
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
