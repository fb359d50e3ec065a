import { expect, test } from 'vitest'
import { copyProblem, type Home, isHome } from '../../src/domain/capture/home.ts'

const home: Home = { systemIdentifier: '7', databaseOid: 5, databaseName: 'app' }

test.each<[string, Partial<Home>, boolean]>([
  ['the same database', {}, true],
  ['one that was renamed', { databaseName: 'renamed' }, true],
  ['one whose cluster may not be read', { systemIdentifier: null }, true],
  ['one of the same name in another cluster', { systemIdentifier: '8' }, false],
  ['another one of the same cluster', { databaseOid: 6 }, false],
  ['another one, whose cluster may not be read', { systemIdentifier: null, databaseOid: 6 }, false],
])('%s', (_what, here, expected) => {
  expect(isHome(home, { ...home, ...here })).toBe(expected)
})

test('the error about a copied outbox names both databases and both options', () => {
  const { found, mend } = copyProblem(home, { ...home, systemIdentifier: '8' })
  expect(found).toContain('of cluster 7')
  expect(found).toContain('of cluster 8')
  expect(mend).toContain('walhook adopt --discard')
  expect(mend).toContain('walhook adopt --continue')
})
