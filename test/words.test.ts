import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'

const root = join(import.meta.dirname, '..')

/** They hide the subject of a sentence. `for (const what of …)` is code. */
const hiding = /(?<!const )\bwhat of\b|\b(of which|that which|becomes? of|became of|anew)\b/gi

async function filesOf(folder: string, ends: string, recursive = true): Promise<string[]> {
  const names = await readdir(join(root, folder), { recursive })
  return names.filter(name => name.endsWith(ends)).map(name => join(folder, name))
}

test('comments, texts and documents name the subject first', async () => {
  const paths = [
    ...(await filesOf('src', '.ts')),
    ...(await filesOf('playground', '.ts')),
    ...(await filesOf('.', '.md', false)),
    ...(await filesOf('docs/guide', '.md')),
    ...(await filesOf('docs/explain', '.md')),
    ...(await filesOf('docs/reference', '.md')),
  ]
  expect(paths.length).toBeGreaterThan(0)
  const found: string[] = []
  for (const path of paths) {
    const text = await readFile(join(root, path), 'utf8')
    for (const { 0: words, index } of text.matchAll(hiding))
      found.push(`${path}:${text.slice(0, index).split('\n').length}: ${words}`)
  }
  expect(found).toEqual([])
})
