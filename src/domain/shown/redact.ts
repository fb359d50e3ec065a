/** The replacement for a secret. */
export const redacted = '[redacted]'

/** A shorter value is no secret, and removing it would make the text unreadable. */
const leastSecret = 6

/**
 * Creates a function that removes secrets from text of others, who may repeat what they were sent: as it is or in capitals,
 * in any JSON spelling (`\/`, `\u002B`), HTML, URL encoding, nested, hexadecimal, or Base64, also of a longer text. The
 * beginning of a secret at the end of a truncated text is removed too.
 */
export function createRedactor(values: readonly string[]): (text: string) => string {
  const all = values.flatMap(value => [value, ...insideOf(value)])
  const secrets = [...new Set(all.flatMap(rewritten))]
    .filter(secret => secret.length >= leastSecret)
    .sort((a, b) => b.length - a.length)
  if (secrets.length === 0) return text => text
  // Secrets are decoded like the text: one that contains `%41` is found too.
  const decodedSecrets = [...new Set(secrets.map(secret => decode(secret).text))]
    .filter(secret => secret.length >= leastSecret)
    .sort((a, b) => b.length - a.length)
  return text => {
    let safe = text
    for (const secret of secrets) safe = withoutSecret(safe, secret)
    return encoded.test(safe) ? withoutEncoded(safe, decodedSecrets) : safe
  }
}

/** The value after a scheme (`Bearer abc`), and the password in Basic. https://www.rfc-editor.org/rfc/rfc7617 */
function insideOf(value: string): string[] {
  const [scheme, ...words] = value.split(' ')
  if (!/^basic$/i.test(scheme!) || words.length !== 1) return words
  const login = Buffer.from(words[0]!, 'base64').toString()
  return [...words, login, login.slice(login.indexOf(':') + 1)]
}

/** Spellings that programs use, besides escapes. */
function rewritten(text: string): string[] {
  if (text.length < leastSecret) return []
  const hex = Buffer.from(text).toString('hex')
  return [
    text,
    text.toLowerCase(),
    text.toUpperCase(),
    hex,
    hex.toUpperCase(),
    ...[0, 1, 2].flatMap(before => within64(text, before)),
  ]
}

/** The Base64 digits that depend on the text alone, if `before` bytes (modulo 3) precede it. */
function within64(text: string, before: number): string[] {
  const bytes = Buffer.concat([Buffer.alloc(before), Buffer.from(text)])
  // Each digit has six bits: digits shared with neighbours are dropped.
  const [from, to] = [Math.ceil((before * 8) / 6), Math.floor((bytes.length * 8) / 6)]
  const whole = before === 0 ? [bytes.toString('base64').replace(/=+$/, ''), bytes.toString('base64url')] : []
  return [...whole, bytes.toString('base64').slice(from, to), bytes.toString('base64url').slice(from, to)]
}

function withoutSecret(text: string, secret: string): string {
  const safe = text.replaceAll(secret, redacted)
  const length = beginningAtEnd(safe, secret)
  return length === 0 ? safe : safe.slice(0, -length) + redacted
}

/** The length of the secret's beginning at the end of a text; 0 below `leastSecret`. */
function beginningAtEnd(text: string, secret: string): number {
  for (let length = Math.min(secret.length - 1, text.length); length >= leastSecret; length--)
    if (text.endsWith(secret.slice(0, length))) return length
  return 0
}

const encoded = /[\\&%]/
const oneCode =
  /\\u[0-9a-f]{4}|\\x[0-9a-f]{2}|\\["'\\/]|%[0-9a-f]{2}|&#x[0-9a-f]{1,6};|&#\d{1,7};|&(quot|apos|amp|lt|gt|sol|plus|equals|colon|lowbar|period|num|excl|dollar|percnt|commat|semi|quest);/gi
const named: Record<string, string> = {
  ...{ quot: '"', apos: "'", amp: '&', lt: '<', gt: '>', sol: '/', plus: '+', equals: '=', colon: ':' },
  ...{
    lowbar: '_',
    period: '.',
    num: '#',
    excl: '!',
    dollar: '$',
    percnt: '%',
    commat: '@',
    semi: ';',
    quest: '?',
  },
}
/** The beginning of an escape at the end of a text. */
const halfCode = /(\\(u[0-9a-f]{0,3}|x[0-9a-f]?)?|%[0-9a-f]?|&[#0-9a-z]{0,6})$/i
/** JSON within HTML within a URL. */
const maxLayers = 3

type Decoded = {
  readonly text: string
  /** The start of each decoded character in `text`, and finally the end. */
  readonly starts: readonly number[]
}

function decode(text: string): Decoded {
  let now: Decoded = { text, starts: Array.from({ length: text.length + 1 }, (_, i) => i) }
  for (let layer = 0; layer < maxLayers && encoded.test(now.text); layer++) {
    const next = decodeOnce(now)
    if (next.text === now.text) break
    now = next
  }
  return now
}

function decodeOnce({ text, starts }: Decoded): Decoded {
  let decodedText = ''
  const decodedStarts: number[] = []
  let from = 0
  const copy = (to: number) => {
    decodedText += text.slice(from, to)
    for (let i = from; i < to; i++) decodedStarts.push(starts[i]!)
  }
  for (const match of text.matchAll(oneCode)) {
    copy(match.index)
    decodedText += characterOf(match[0])
    decodedStarts.push(starts[match.index]!)
    from = match.index + match[0].length
  }
  copy(text.length)
  decodedStarts.push(starts[text.length]!)
  return { text: decodedText, starts: decodedStarts }
}

/** One character: secrets are ASCII, and others stay as they are. */
function characterOf(code: string): string {
  const number = /^\\[ux]|^%|^&#/.test(code)
    ? Number.parseInt(code.replace(/^(\\[ux]|%|&#x?)/i, ''), /^&#\d/.test(code) ? 10 : 16)
    : null
  if (number !== null) return number < 0x80 ? String.fromCharCode(number) : '\u{fffd}'
  return code.startsWith('\\') ? code[1]! : named[code.slice(1, -1).toLowerCase()]!
}

function withoutEncoded(text: string, secrets: readonly string[]): string {
  const { text: plain, starts } = decode(text)
  const cuts: { from: number; to: number }[] = []
  for (const secret of secrets) {
    for (let at = plain.indexOf(secret); at >= 0; at = plain.indexOf(secret, at + secret.length))
      cuts.push({ from: starts[at]!, to: starts[at + secret.length]! })
    // The text may end inside an escape.
    for (const end of [plain.length, plain.search(halfCode)]) {
      const length = beginningAtEnd(plain.slice(0, Math.max(0, end)), secret)
      if (length > 0) cuts.push({ from: starts[end - length]!, to: text.length })
    }
  }
  let safe = ''
  let done = 0
  for (const { from, to } of cuts.sort((a, b) => a.from - b.from)) {
    if (from >= done) safe += text.slice(done, from) + redacted
    done = Math.max(done, to)
  }
  return safe + text.slice(done)
}
