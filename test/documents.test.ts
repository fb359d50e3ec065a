import { glob, readFile } from 'node:fs/promises'
import { dirname, join, normalize } from 'node:path'
import { expect, test } from 'vitest'
import { parse } from 'yaml'
import { readMappingFile } from '../src/domain/mapping/mapping-file.ts'
import { generatedDocuments } from './support/reference.ts'

const project = join(import.meta.dirname, '..')
const paths = (await Array.fromAsync(glob(['*.md', 'docs/**/*.md', 'test/*.md'], { cwd: project }))).sort()
const texts = new Map(
  await Promise.all(
    paths.map(async path => [path, await readFile(join(project, path), 'utf8')] as [string, string]),
  ),
)
const files = new Set(
  await Array.fromAsync(glob(['*', '{docs,test,migrations,docker}/**'], { cwd: project })),
)

const sources = new Set(await Array.fromAsync(glob('**', { cwd: join(project, 'src') })))

const withoutCode = (text: string) => text.replaceAll(/^```.*?^```/gms, '').replaceAll(/`[^`\n]*`/g, '`')

/** A heading as GitHub and VitePress name its anchor, for the headings that links here lead to. */
const anchorOf = (heading: string) =>
  heading
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
    .trim()
    .replaceAll(' ', '-')

test.each(paths)('each link of %s resolves', path => {
  const links = [...withoutCode(texts.get(path)!).matchAll(/\]\(([^)\s]+)\)/g)].map(([, link]) => link!)
  const dead = links.filter(link => {
    if (/^[a-z]+:/.test(link)) return false
    const [file = '', anchor] = link.split('#')
    const target = file === '' ? path : normalize(join(dirname(path), file))
    if (anchor === undefined) return !files.has(target)
    const headings = [...(texts.get(target) ?? '').matchAll(/^#+ (.*)$/gm)].map(([, heading]) =>
      anchorOf(heading!),
    )
    return !headings.includes(anchor)
  })
  expect(dead).toEqual([])
})

test.each(await generatedDocuments().then(documents => [...documents.keys()]))(
  '%s is up to date (if not: npm run docs)',
  async path => expect(texts.get(path)).toBe((await generatedDocuments()).get(path)),
)

test('README has at most 150 lines', () => {
  expect(texts.get('README.md')!.split('\n').length).toBeLessThanOrEqual(150)
})

const recipes = [
  ...texts.get('docs/guide/mapping.md')!.matchAll(/^##+ ([^\n]+)\n(?:(?!^##).)*?^```yaml\n(.*?)^```/gms),
].map(([, name, text]) => [name!, text!] as const)

test.each(recipes)("the guide's mapping under %s is valid", (_name, text) => {
  const read = readMappingFile(parse(text))
  expect(read.ok ? [] : read.problems).toEqual([])
})

test('all recipes are found', () => {
  expect(recipes.map(([name]) => name)).toEqual([
    'Everything at once',
    'Values behind other tables',
    'Keys of several columns',
    'Columns that a later migration adds',
    'Soft deletes',
    'Which rows are sent',
    'Related rows',
    'Deletes with their last values',
    'Whose an entity is',
    'What an entity is called',
    'Payload',
    'Django',
    'Directus',
    'Keycloak',
  ])
})

test.each(['ARCHITECTURE.md', 'SECURITY.md', 'CONTRIBUTING.md'])('each file that %s names exists', path => {
  const named = [...texts.get(path)!.matchAll(/`(?:src\/)?((?:[\w-]+\/)+[\w.-]+\.(?:ts|md|sql))`/g)].map(
    ([, file]) => file!,
  )
  expect(named.filter(file => !sources.has(file) && !files.has(file))).toEqual([])
})

/** What the tables of a document have in their column of tests. */
function testCellsIn(text: string): string[] {
  let column = -1
  return text.split('\n').flatMap(line => {
    if (!line.startsWith('|')) {
      column = -1
      return []
    }
    const cells = line.split(/(?<!\\)\|/).map(part => part.trim())
    if (column === -1) column = cells.indexOf('test')
    return column === -1 || /^-+$/.test(cells[column]!) ? [] : [cells[column]!]
  })
}

/** The tests that a table of traps names, by the files that they may be in. */
const testsNamedIn = (text: string): string[] =>
  testCellsIn(text).flatMap(cell =>
    cell
      .replaceAll(/"[^"]*"/g, '')
      .replaceAll(/\([^)]*\)/g, '')
      .split(';')
      .flatMap(part => part.split(':')[0]!.split(','))
      .map(name => name.replaceAll('`', '').trim())
      .filter(name => /^[\w/.-]+$/.test(name) && !['test', 'same', 'readme', '–'].includes(name)),
  )

/**
 * What the tables say of tests, by the files that they name: `attempt`: a receiver that …; the words after the colon are in titles of
 * these files. `…` and `%s` are for what may differ; `same` means the files that were named last.
 */
function titlesQuotedIn(text: string): { readonly names: readonly string[]; readonly title: string }[] {
  let names: string[] = []
  return testCellsIn(text).flatMap(cell =>
    cell.split(/;\s/).flatMap(part => {
      const [, files, titles] = /^(.*?):\s+(.*)$/.exec(part.trim()) ?? [null, part, '']
      const named = files!
        .replaceAll('`', '')
        .split(',')
        .map(name => name.trim())
      if (named.every(name => /^[\w/.-]+$/.test(name)) && named[0] !== 'same') names = named
      const shown = titles!.replaceAll(/ ?\([^)]*\)/g, '').split(/["`]|…|%s/)
      const words = shown.map(each =>
        each
          .trim()
          .replace(/^[,:] ?|[:,]$/g, '')
          .trim(),
      )
      return words.filter(each => each.length > 3).map(title => ({ names, title }))
    }),
  )
}

test.each([
  ['test/traps.md', 'capture'],
  ['test/guards.md', 'delivery'],
])('each test that %s names exists', (path, folder) => {
  const named = testsNamedIn(texts.get(path)!)
  const isThere = (name: string) =>
    ['', '.test.ts', '.pg.test.ts', '.browser.test.ts'].some(
      end => files.has(`test/${name}${end}`) || files.has(`test/${folder}/${name}${end}`),
    )
  expect(named.length).toBeGreaterThan(50)
  expect(named.filter(name => !isThere(name))).toEqual([])
})

test.each([
  ['test/traps.md', 'capture'],
  ['test/guards.md', 'delivery'],
])('each test title that %s quotes is in the named file', async (path, folder) => {
  const titlesOf = async (name: string) => {
    const ends = ['', '.test.ts', '.pg.test.ts', '.browser.test.ts']
    const found = ends.flatMap(end => [`test/${name}${end}`, `test/${folder}/${name}${end}`])
    const there = found.filter(file => files.has(file) && file.endsWith('.ts'))
    return await Promise.all(there.map(file => readFile(join(project, file), 'utf8')))
  }
  const quoted = titlesQuotedIn(texts.get(path)!)
  expect(quoted.length).toBeGreaterThan(80)
  const missing: string[] = []
  for (const { names, title } of quoted) {
    const sources = (await Promise.all(names.map(titlesOf))).flat().join('\n')
    if (!sources.replaceAll("\\'", "'").replaceAll('`', '').includes(title))
      missing.push(`${names}: ${title}`)
  }
  expect(missing).toEqual([])
})
