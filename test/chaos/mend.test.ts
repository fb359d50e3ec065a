import { expect, test } from 'vitest'
import { isRunnable, readMend } from './mend.ts'

const sql = (text: string) => ({ kind: 'sql', sql: text })
const command = (...args: string[]) => ({ kind: 'command', args })

test.each<[string, object[]]>([
  [
    `wal_level: replica. Fix: run: alter system set wal_level = 'logical';  then restart PostgreSQL`,
    [sql(`alter system set wal_level = 'logical'`)],
  ],
  [
    'published like this. Run: alter publication walhook drop table "a"."b"; alter publication walhook add table "a"."b";',
    [sql('alter publication walhook drop table "a"."b"'), sql('alter publication walhook add table "a"."b"')],
  ],
  [
    'Run: alter table t add primary key (…);  or: alter table t replica identity full;',
    [sql('alter table t add primary key (…)')],
  ],
  [
    'run as the owner of the tables: create publication walhook for table "a"."b" with (x = true); then run: walhook resync',
    [sql('create publication walhook for table "a"."b" with (x = true)'), command('resync', '--yes')],
  ],
  ['To go on, run: walhook resync --entity user --yes', [command('resync', '--entity', 'user', '--yes')]],
])('%s', (words, steps) => {
  expect(readMend(words)).toEqual(steps)
})

test('a placeholder in a command is left for the reader', () => {
  const [step, ...others] = readMend('run "walhook resync --entity TYPE" for each entity type')
  expect(others).toEqual([])
  expect(isRunnable(step!)).toBe(false)
  expect(isRunnable(readMend('run: walhook resync --entity user')[0]!)).toBe(true)
})
