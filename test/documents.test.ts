import { glob, readFile } from 'node:fs/promises'
import { dirname, join, normalize } from 'node:path'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { readMappingFile } from '../src/domain/mapping-file.ts'
import { generatedDocuments } from './support/reference.ts'

const project = join(import.meta.dirname, '..')
const paths = (await Array.fromAsync(glob(['*.md', 'docs/**/*.md'], { cwd: project }))).sort()
const texts = new Map(
  await Promise.all(
    paths.map(async path => [path, await readFile(join(project, path), 'utf8')] as [string, string]),
  ),
)
const files = new Set(
  await Array.fromAsync(glob(['*', '{docs,test,migrations,docker}/**'], { cwd: project })),
)

const withoutCode = (text: string) => text.replaceAll(/^```.*?^```/gms, '').replaceAll(/`[^`\n]*`/g, '`')

/** A heading as GitHub and VitePress name its anchor, for the headings that links here lead to. */
const anchorOf = (heading: string) =>
  heading
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
    .trim()
    .replaceAll(' ', '-')

test.each(paths)('each link of %s leads somewhere', path => {
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
  '%s is as the code is (if not: npm run docs)',
  async path => expect(texts.get(path)).toBe((await generatedDocuments()).get(path)),
)

test('README is read in one go: 150 lines at most', () => {
  expect(texts.get('README.md')!.split('\n').length).toBeLessThanOrEqual(150)
})

describe('each mapping that the guide shows is one', async () => {
  const guide = texts.get('docs/guide/mapping.md')!
  const recipes = [...guide.matchAll(/^```yaml\n(.*?)^```/gms)].map(([, text]) => text!)
  test.each(recipes)('%s', text => {
    const read = readMappingFile(parse(text))
    expect(read.ok ? [] : read.problems).toEqual([])
  })
  test('the recipes are found', () => expect(recipes.length).toBeGreaterThan(4))
})
