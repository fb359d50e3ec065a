import { glob, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { parseAllDocuments } from 'yaml'
import { routes } from '../src/api/routes.ts'
import { commands } from '../src/commands/run-command.ts'
import { variables } from '../src/config/variables.ts'

const project = join(import.meta.dirname, '..')
const paths = (await Array.fromAsync(glob(['README.md', 'docs/guide/**/*.md'], { cwd: project }))).sort()
const texts = await Promise.all(
  paths.map(async path => [path, await readFile(join(project, path), 'utf8')] as const),
)

/** The lines of a document that a reader would type: in blocks, and between backticks. */
function typed(text: string): string[] {
  const blocks = [...text.matchAll(/^```(?:sh|text|bash)\n(.*?)^```/gms)].flatMap(([, block]) =>
    block!.replaceAll('\\\n', ' ').split('\n'),
  )
  const inline = [...text.replaceAll(/^```.*?^```/gms, '').matchAll(/`([^`\n]+)`/g)].map(([, code]) => code!)
  return [...blocks, ...inline]
}

const start =
  /(?:^|&& |[;|(] ?|-- )(?:[A-Z_]+=\S* )*(?:npx walhook|npx node src\/main\.ts|(?:docker|kubectl) exec \S+ (?:-- )?walhook|walhook) (?=[a-z-])/

/** The arguments of walhook in a line; without what the shell makes of its output. */
const argumentsIn = (line: string) =>
  (line.split(start)[1] ?? '')
    .replace(/(?: [&|>#]|\)).*$/, '')
    .split(/\s+/)
    .filter(word => word !== '')

/** What is wrong with a call of walhook; null: nothing. */
function wrongIn([name = '', word = '', ...more]: readonly string[]): string | null {
  if (name.startsWith('-') || name === 'version' || name === 'help') return null
  const command = Object.hasOwn(commands, name) && commands[name]
  if (!command) return `there is no command ${name}`
  const isOption = word.startsWith('-')
  if (command.words && word !== '' && !isOption && !command.words.includes(word))
    return `${name} has no ${word}`
  const known = command.optionsOfWords?.[word] ?? command.usage.match(/--[a-z][a-z-]*/g) ?? []
  const options = [word, ...more].filter(one => one.startsWith('--')).map(one => one.split('=')[0]!)
  const unknown = options.filter(one => one !== '--help' && !known.includes(one))
  return unknown.length > 0 ? `${name} ${word} has no ${unknown.join(', ')}` : null
}

test('each call of walhook in the guide has a command and options that exist', () => {
  const calls = texts.flatMap(([path, text]) =>
    typed(text).map(line => ({ path, line, args: argumentsIn(line) })),
  )
  const real = calls.filter(({ args }) => args.length > 0)
  expect(real.length).toBeGreaterThan(60)
  const wrong = real.flatMap(({ path, line, args }) => {
    const found = wrongIn(args)
    return found === null ? [] : [`${path}: ${line}: ${found}`]
  })
  expect(wrong).toEqual([])
})

test('each variable of walhook in the guide exists', () => {
  const wrong = texts.flatMap(([path, text]) =>
    [...text.matchAll(/WALHOOK_[A-Z_]*[A-Z]\b/g)]
      .filter(([name]) => !Object.hasOwn(variables, name))
      .map(([name]) => `${path}: ${name}`),
  )
  expect(wrong).toEqual([])
})

/** `/api/webhooks/7/log` as a call of `/api/webhooks/{id}/log`. */
const shapes = routes.map(({ path }) => new RegExp(`^${path.replaceAll(/\{\w+\}|:\w+/g, '[^/]+')}$`))

test('each path of the API in the guide exists', () => {
  const wrong = texts.flatMap(([path, text]) =>
    [...text.matchAll(/(?<![\w.])\/api\/[\w/{}:-]*\w/g)]
      .filter(([call]) => !['/api/openapi'].includes(call) && !shapes.some(shape => shape.test(call)))
      .map(([call]) => `${path}: ${call}`),
  )
  expect(wrong).toEqual([])
})

test.each(texts)('each block of YAML and JSON in %s can be read', (_path, text) => {
  for (const [, language, block] of text.matchAll(/^```(yaml|json)\n(.*?)^```/gms))
    if (language === 'json') JSON.parse(block!)
    else expect(parseAllDocuments(block!).flatMap(({ errors }) => errors)).toEqual([])
})
