import { expect, test } from 'vitest'
import { parseSnippets, readSnippets } from '../../src/admin/kit/snippets.ts'

test('the snippets are those of docs/guide/receiving.md', () => {
  const read = readSnippets()
  expect(read.ok && read.snippets.map(({ language, title }) => `${language}: ${title}`)).toEqual([
    'js: Node.js',
    'python: Python',
    'php: PHP',
    'go: Go',
    'ruby: Ruby',
    'java: Java',
    'rust: Rust',
    'bash: bash (curl, openssl)',
  ])
})

test('without the file, the page explains what to do', () => {
  expect(readSnippets(new URL('file:///nowhere/receiving.md'))).toEqual({
    ok: false,
    problem: {
      code: 'guide',
      what: 'docs/guide/receiving.md',
      found: "can't be read (ENOENT); the pages show its code",
      mend: 'install walhook with its folder docs, beside src',
    },
  })
})

const block = (language: string, text: string) => `\`\`\`${language}\n${text}\n\`\`\`\n`
test.each([
  ['nothing', ''],
  ['a function that nothing calls', `## JS\n${block('js', 'f()')}`],
  ['a call in another language', `## JS\n${block('js', 'f()')}${block('go', "f('whsec_…')")}`],
  ['a call without the secret', `## JS\n${block('js', 'f()')}${block('js', 'f()')}`],
  ['a third block', `## JS\n${block('js', 'f()')}${block('js', "f('whsec_…')")}${block('js', 'g()')}`],
])('a document with %s is refused', (_what, markdown) => {
  expect(parseSnippets(markdown)).toBeNull()
})
