import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Hono } from 'hono'
import { expect, test } from 'vitest'
import { en } from '../../src/admin/texts/en.ts'
import { languages, textsOf } from '../../src/admin/texts/texts.ts'

const admin = join(import.meta.dirname, '..', '..', 'src', 'admin')

/** `couplings.title` for each text; of a function how many arguments it takes. */
function paths(texts: object, before = ''): string[] {
  return leaves(texts, before).map(({ group, name, value }) => `${group}${name} ${typeof value}`)
}

function leaves(texts: object, before = ''): { group: string; name: string; value: unknown }[] {
  return Object.entries(texts).flatMap(([key, value]) =>
    typeof value === 'object'
      ? leaves(value, `${before}${key}.`)
      : [{ group: before, name: key, value: value as unknown }],
  )
}

test.each(Object.entries(languages))('%s has exactly the texts of English', (_name, texts) => {
  expect(paths(texts).sort()).toEqual(paths(en).sort())
})

test('every text is used by a page', async () => {
  const files = (await readdir(admin, { recursive: true })).filter(
    file => file.endsWith('.ts') && !file.startsWith('texts'),
  )
  const source = (await Promise.all(files.map(file => readFile(join(admin, file), 'utf8')))).join('\n')
  const unused = leaves(en).filter(({ group, name }) => {
    // By its name, or through its group: `t.roles[role]`.
    const isNamed = /^\w+$/.test(name) && new RegExp(`[.{ ]${name}\\b`).test(source)
    return !isNamed && !source.includes(`t.${group.slice(0, -1)}[`)
  })
  expect(unused.map(({ group, name }) => group + name)).toEqual([])
})

test.each([
  [undefined, undefined, 'en'],
  [undefined, 'nl', 'nl'],
  [undefined, 'NL-be,en;q=0.9', 'nl'],
  [undefined, 'en;q=0.3, nl;q=0.4', 'nl'],
  [undefined, 'nl;q=0, en', 'en'],
  [undefined, 'constructor', 'en'],
  ['nl', 'en', 'nl'],
  ['toString', 'nl', 'nl'],
])('the choice %j with a browser in %j gives %s', async (chosen, header, language) => {
  const app = new Hono().get('/', c => c.text(textsOf(c).language.code))
  const headers = {
    ...(chosen !== undefined && { cookie: `walhook_language=${chosen}` }),
    ...(header !== undefined && { 'accept-language': header }),
  }
  expect(await (await app.request('/', { headers })).text()).toBe(language)
})
