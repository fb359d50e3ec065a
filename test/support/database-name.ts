import { randomBytes } from 'node:crypto'
import { basename } from 'node:path'

/** What the names of all databases of one run of the tests begin with. */
export const databasePrefix = (runId: string) => `walhook_test_${runId}_`

/** The name of the database that a run's databases with an outbox are copies of. */
export const templateName = (runId: string) => `walhook_template_${runId}`

/** A database name that tells the test file, unique within the run, made of letters that need no quotes. */
export function databaseName(runId: string, testFile: string): string {
  const file = basename(testFile).replace(/(\.(pg|browser))?\.test\.ts$/, '')
  const readable = file
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '_')
    .slice(0, 32)
  return `${databasePrefix(runId)}${readable}_${randomBytes(2).toString('hex')}`
}
