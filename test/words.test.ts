import { readdir, readFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { expect, test } from 'vitest'
import { identifiersOf, titlesOf, wordsOf } from './support/identifiers.ts'

const root = join(import.meta.dirname, '..')

/**
 * Words that hide the subject of a sentence, or that the field says otherwise: sent, fix, in flight, pending, only once.
 * `for (const what of …)` is code.
 */
const hiding = [
  /(?<!const )\bwhat of\b|\b(of which|that which|becomes? of|became of|anew)\b/gi,
  /\b(is|are|was|were|be|been) told\b|\bwhat waits\b|\b(under way|this once|can not|so long ago)\b/gi,
  /\bmend(s|ed)? (the|its|it|that|this|what|these)\b|\bwas \S+ meant\?/gi,
]

async function filesOf(folder: string, ends: string, recursive = true): Promise<string[]> {
  const names = await readdir(join(root, folder), { recursive })
  return names.filter(name => name.endsWith(ends)).map(name => join(folder, name))
}

test('comments, texts and documents name the subject first', async () => {
  const paths = [
    ...(await filesOf('src', '.ts')),
    ...(await filesOf('playground', '.ts')),
    ...(await filesOf('.', '.md', false)),
    ...(await filesOf('test', '.md', false)),
    ...(await filesOf('docs/guide', '.md')),
    ...(await filesOf('docs/explain', '.md')),
    ...(await filesOf('docs/reference', '.md')),
  ]
  expect(paths.length).toBeGreaterThan(0)
  const found: string[] = []
  for (const path of paths) {
    const text = await readFile(join(root, path), 'utf8')
    for (const { 0: words, index } of hiding.flatMap(each => [...text.matchAll(each)]))
      found.push(`${path}:${text.slice(0, index).split('\n').length}: ${words}`)
  }
  expect(found).toEqual([])
})

/** Beginnings and words that hide the subject of a title. */
const hidingInTitles =
  /^(what|who|whoever|whatever|whose|nor|the same)\b|\b(whoever|told|untold|mend(s|ed)?|anew|goes on|what of)\b/

test('titles of tests name the subject first', async () => {
  const found: string[] = []
  for (const path of await filesOf('test', '.test.ts'))
    for (const title of titlesOf(path, await readFile(join(root, path), 'utf8')))
      if (hidingInTitles.test(title)) found.push(`${path}: ${title}`)
  expect(found).toEqual([])
})

/** Words that another one has replaced, in texts that people read on the pages and in the API. */
const replaced = {
  'src/admin/texts/en':
    /\b(by hand|goes? on|tried again|e-mail|log-in|sign(ed)?[ -](in|out)|mend|told|answer time)\b/i,
  'src/domain/failure/failure-texts.ts': /\b(tried again|mended|never followed)\b/i,
  'src/domain/failure/explain-texts.ts': /\b(by hand|tried again|told|on its way|waits)\b/i,
  'src/domain/shown/reason-texts.ts': /\b(told|all the same|e-mail|does not answer)\b/i,
  'src/admin/texts/nl':
    /\b(meldingen|onderwerp(en)?|koppeling(en)?|gebeurtenis(sen)?|levering(en)?|verz[eo]nd(en)?|toestand|bundels?)\b/,
} as const

test.each(Object.entries(replaced))('%s has one word for each thing', async (place, words) => {
  const paths = place.endsWith('.ts') ? [place] : await filesOf(place, '.ts')
  const found: string[] = []
  for (const path of paths) {
    const lines = (await readFile(join(root, path), 'utf8')).split('\n')
    for (const [i, line] of lines.entries())
      for (const [text] of line.matchAll(/'[^']*'|`[^`]*`|"[^"]*"/g))
        if (!text.startsWith("'../") && words.test(text)) found.push(`${path}:${i + 1}: ${text}`)
  }
  expect(paths.length).toBeGreaterThan(0)
  expect(found).toEqual([])
})

/** Words that are no names, each with the ones to choose from. Columns of the database and fields of the API keep theirs. */
const notNames: Readonly<Record<string, string>> = {
  told: 'sent, notified, logged',
  untold: 'unsent, unreadable',
  retold: 'sent',
  tell: 'send, notify, report',
  telling: 'sending, reporting',
  teller: 'merger, log',
  place: 'position, index, offset, permit, section',
  places: 'positions, indexes, capacity',
  brought: 'received, delivered',
  born: 'created, received',
  unborn: 'missing, early',
  touched: 'changed',
  untouched: 'unmodified',
  ahead: 'inLog, readAhead, later',
  desk: 'writer',
  desks: 'writers',
  anew: 'again, reset',
  harm: 'failure',
  stands: 'replaces',
  becomes: 'turns',
  say: 'print, show',
  said: 'printed, explained, stated',
  look: 'inspect, check, scan, poll',
  wish: 'input, options, request',
  wished: 'requested',
  usual: 'default',
  most: 'max',
  pressed: 'overloaded',
  judge: 'check, validate, classify, match',
  judges: 'checks, validates',
  judged: 'checked, validated, classified',
  judgement: 'verdict',
}
const keptNames = new Set(
  'at_most atMost told_at end_told_at tells_end tells harm placesNew places_new idsAheadMs ids_ahead_ms readAhead ReadAhead createReadAhead'.split(
    ' ',
  ),
)
/** The verb: cells are placed, and pages of tables. A test table has a type of this name. */
const placing = /^src\/outbox\/cells\/|^src\/control\/webhooks\/|^src\/capture\/store\/gather|every-type/

test('names of code, files and SQL are words of the field', async () => {
  const paths = [...(await filesOf('src', '.ts')), ...(await filesOf('test/support', '.ts'))]
  const found: string[] = []
  for (const path of paths) {
    const text = await readFile(join(root, path), 'utf8')
    const names = identifiersOf(path, text).set(basename(path, '.ts').replaceAll('-', '_'), 0)
    for (const [name, at] of names)
      for (const word of keptNames.has(name) ? [] : wordsOf(name))
        if (Object.hasOwn(notNames, word) && !(word === 'place' && placing.test(path)))
          found.push(`${path}:${text.slice(0, at).split('\n').length}: ${name} (rather: ${notNames[word]})`)
  }
  expect(paths.length).toBeGreaterThan(0)
  expect(found).toEqual([])
})
