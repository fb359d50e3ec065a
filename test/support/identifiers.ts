import { parseAst } from 'vitest/node'

/** The names in a file of TypeScript, and the aliases in its SQL, each with the offset of its first use. */
export function identifiersOf(path: string, text: string): Map<string, number> {
  const names = new Map<string, number>()
  const add = (name: string, at: number) => !names.has(name) && names.set(name, at)
  const visit = (value: unknown): void => {
    if (typeof value !== 'object' || value === null) return
    const { type, name, start, end } = value as { type?: string; name?: unknown; start: number; end: number }
    if ((type === 'Identifier' || type === 'PrivateIdentifier') && typeof name === 'string') add(name, start)
    if (type === 'TemplateElement')
      for (const { 1: as, 2: table, index } of text.slice(start, end).matchAll(aliases))
        add((as ?? table)!, start + index)
    Object.values(value).forEach(visit)
  }
  visit(parseAst(text, { lang: 'ts' }, path).body)
  return names
}

/** The titles of the tests in a file, as texts of the code. */
export function titlesOf(path: string, text: string): string[] {
  const titles: string[] = []
  const visit = (value: unknown): void => {
    if (typeof value !== 'object' || value === null) return
    const {
      type,
      callee,
      arguments: given,
    } = value as {
      type?: string
      callee?: { start: number; end: number }
      arguments?: readonly { type: string; start: number; end: number }[]
    }
    const [title] = given ?? []
    if (type === 'CallExpression' && title && /^(Template)?Literal$/.test(title.type) && callee)
      if (/^(test|describe|browserTest)\b/.test(text.slice(callee.start, callee.end)))
        titles.push(text.slice(title.start + 1, title.end - 1))
    Object.values(value).forEach(visit)
  }
  visit(parseAst(text, { lang: 'ts' }, path).body)
  return titles
}

/** `select … as sent`, `with sent as (`. */
const aliases = /\bas ([a-z_]+)\b|\b([a-z_]+) as (?:materialized )?\(/g

/** `sentAsNew`, `sent_as_new`: sent, as, new. */
export const wordsOf = (name: string): string[] =>
  name
    .replaceAll(/([a-z\d])([A-Z])|([A-Z])([A-Z][a-z])/g, '$1$3_$2$4')
    .toLowerCase()
    .split(/[_$]+/)
