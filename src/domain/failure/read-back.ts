type ReadBack = { readonly code: string; readonly facts: Readonly<Record<string, string>> }

type Text = (facts: never, nested: never) => string

/** Delimiters around a fact. No sentence contains these characters. */
const [open, close] = ['\uE000', '\uE001']
const marks = new RegExp(`${open}(\\w+)${close}`)

/**
 * Reads stored English sentences back into code and facts, for other languages. A text that branches on a fact can't be read
 * back.
 */
export function readerOf(texts: Readonly<Record<string, Text>>): (sentence: string) => ReadBack | null {
  const forms = Object.entries(texts).map(([code, text]) => ({ code, form: formOf(text) }))
  // A sentence that contains another comes first; then the one with the longest fixed part.
  forms.sort((a, b) => Number(b.form.nests) - Number(a.form.nests) || b.form.fixed - a.form.fixed)
  return sentence => {
    for (const { code, form } of forms) {
      const found = form.pattern.exec(sentence)
      if (found) return { code, facts: { ...found.groups } }
    }
    return null
  }
}

function formOf(text: Text): { pattern: RegExp; fixed: number; nests: boolean } {
  let nests = false
  const nested = (inner: string) => {
    nests = true
    return inner
  }
  const mark = (name: string) => `${open}${name}${close}`
  const facts = new Proxy({}, { get: (_, name) => mark(String(name)) })
  const write = text as (facts: unknown, nested: (inner: string) => string) => string
  const parts = write(facts, nested).split(marks)
  const known = new Set<string>()
  const pattern = parts.map((part, i) => {
    if (i % 2 === 0) return part.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')
    if (known.has(part)) return `\\k<${part}>`
    known.add(part)
    return `(?<${part}>.+)`
  })
  return {
    pattern: new RegExp(`^${pattern.join('')}$`, 's'),
    fixed: parts.filter((_, i) => i % 2 === 0).join('').length,
    nests,
  }
}
