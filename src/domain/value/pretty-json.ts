/**
 * Indents JSON without changing its values: number digits, string escapes and duplicate keys stay. Invalid JSON stays as it
 * is.
 */
export function prettyJson(text: string): string {
  try {
    JSON.parse(text)
  } catch {
    return text
  }
  let depth = 0
  // Bounded: the indentation of nested brackets would grow quadratically.
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
