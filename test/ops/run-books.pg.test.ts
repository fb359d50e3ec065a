import { glob, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeAll, expect, test } from 'vitest'
import { connect } from '../support/connect.ts'
import { createTestDatabase } from '../support/database.ts'

const root = join(import.meta.dirname, '..', '..')
const guide = new Map<string, string>()
let code = ''

beforeAll(async () => {
  for await (const path of glob('docs/guide/**/*.md', { cwd: root }))
    guide.set(path, await readFile(join(root, path), 'utf8'))
  for await (const path of glob('src/**/*.ts', { cwd: root }))
    code += await readFile(join(root, path), 'utf8')
})

test('the run-book of parked changes had a column that does not exist: each query of a run-book runs', async () => {
  await using database = await createTestDatabase({ hasOutbox: true })
  await using psql = await connect(database.url)
  const queries = [...guide].flatMap(([path, text]) =>
    path.includes('/alerts/')
      ? [...text.matchAll(/`(select [^`]+)`/g)].map(([, query]) => query!.replaceAll(/\s+/g, ' '))
      : [],
  )
  expect(queries.length).toBeGreaterThan(4)
  for (const query of queries.filter(query => !query.includes('_drop_')))
    await expect(psql.query(query), query).resolves.toBeDefined()
})

test('a run-book sent people to log lines that nobody writes: each one that the guide names is in the code', () => {
  const named = [...guide].flatMap(([path, text]) =>
    [
      ...text.matchAll(
        /`((?:capture|delivery|dispatcher|webhook|tracing|sign_in|outbox|database|replay)\.[a-z_]+)`/g,
      ),
    ].map(([, name]) => ({ path, name: name! })),
  )
  expect(named.length).toBeGreaterThan(10)
  expect(named.filter(({ name }) => !code.includes(`'${name}'`))).toEqual([])
})
