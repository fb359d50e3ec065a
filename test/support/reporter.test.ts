import { expect, test } from 'vitest'
import { closingText } from './reporter.ts'

test('the last line has only the counts; above it are the server and every skipped test', () => {
  const totals = { passed: 3, failed: 1, skipped: ['test/a.test.ts > b: no browser here'], unselected: 0 }
  expect(closingText(totals, 'embedded PostgreSQL 18.4', 1)).toBe(
    'skipped: test/a.test.ts > b: no browser here\nPostgres: embedded PostgreSQL 18.4\n3 passed, 1 failed, 1 skipped\n',
  )
})

test('a run that fails without a failed test still counts one failure', () => {
  const totals = { passed: 3, failed: 0, skipped: [], unselected: 2 }
  expect(closingText(totals, null, 1)).toBe(
    'skipped: 2 that --testNamePattern does not name\nPostgres: not needed by these tests\n3 passed, 1 failed, 2 skipped\n',
  )
  expect(closingText(totals, null, 0)).toMatch(/\n3 passed, 0 failed, 2 skipped\n$/)
})
