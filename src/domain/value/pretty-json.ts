/**
 * Indents JSON without changing any of its values: numbers keep all their digits, strings their escapes, and
 * equal keys all their values. Text that is not JSON stays as it is.
 */
export function prettyJson(text: string): string {
  try {
    JSON.parse(text)
  } catch {
    return text
  }
  let depth = 0
  // Bounded: a body of nothing but brackets would grow by the square of its length.
  const newLine = () => `\n${'  '.repeat(Math.min(depth, 16))}`
  return text.replace(/"(?:[^"\\]|\\.)*"|[[{]\s*[\]}]|[[{\]},:]|\s+/g, token => {
    if (token.startsWith('"')) return token
    if (/^[[{].*[\]}]$/s.test(token)) return token[0]! + token.at(-1)!
    if (token === '[' || token === '{') {
      depth++
      return token + newLine()
    }
    if (token === ']' || token === '}') {
      depth--
      return newLine() + token
    }
    if (token === ',') return token + newLine()
    return token === ':' ? ': ' : ''
  })
}
