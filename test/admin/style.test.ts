import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'

const admin = join(import.meta.dirname, '..', '..', 'src', 'admin')

/** What a selector names: classes, ids and attributes of data. A rule for none of what pages write is dead. */
function namesIn(style: string): string[] {
  const selectors = style
    .replaceAll(/\/\*[\s\S]*?\*\//g, '')
    .split(/[{};]/)
    .filter(part => !/^\s*(@|--)/.test(part) && !/^\s*[\w-]+\s*:\s/.test(part))
  return selectors.flatMap(selector =>
    [...selector.matchAll(/[.#]([a-z][\w-]*)|\[(data-[\w-]+)/g)].map(match => match[1] ?? match[2]!),
  )
}

test('every class, id and attribute in the style sheet is used by a page or its script', async () => {
  const style = await readFile(join(admin, 'assets', 'walhook.css'), 'utf8')
  const files = (await readdir(admin, { recursive: true })).filter(file => /\.(ts|js)$/.test(file))
  const written = (await Promise.all(files.map(file => readFile(join(admin, file), 'utf8')))).join('\n')
  const dead = [...new Set(namesIn(style))].filter(
    // htmx itself sets it while a request is under way.
    name => name !== 'htmx-request' && !new RegExp(`(?<![\\w-])${name}(?![\\w-])`).test(written),
  )
  expect(dead).toEqual([])
})

test('every rule is in a declared layer, and the style sheet stays readable', async () => {
  const style = await readFile(join(admin, 'assets', 'walhook.css'), 'utf8')
  const named = /@layer ([^;{]+);/.exec(style)![1]!.split(', ')
  expect([...style.matchAll(/^@layer (\w+) \{/gm)].map(match => match[1])).toEqual(named)
  const outside = style.split('\n').filter(line => /^[^\s/@}*]/.test(line))
  expect(outside).toEqual([])
  expect(style.split('\n').length).toBeLessThan(1_200)
})

test('names are read from selectors, not from values', () => {
  const style =
    '/* .no */ .a > .b-c, #d:hover { color: #fff; background: url(x.png) } @media (x) { [data-e] { --f: 1 } }'
  expect(namesIn(style)).toEqual(['a', 'b-c', 'd', 'data-e'])
})
