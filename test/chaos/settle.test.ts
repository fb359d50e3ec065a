import { expect, test } from 'vitest'
import { openOwnServer } from '../support/own-database.ts'
import { isTold } from './settle.ts'
import { openTrial } from './trial.ts'

const timeoutMs = 180_000

// Each has a server of its own, and mostly waits: they run side by side.
test.concurrent.each<[string, { name: string; seed: number }[], RegExp]>([
  [
    'a table of related rows that leaves the publication, of which nothing in the stream tells, is waited for',
    [{ name: 'drop a table from the publication', seed: 697034271 }],
    /^alter publication walhook add table "public"."user_companies"$/,
  ],
  [
    'a table that walhook asks to rename back is written to under that name again',
    [{ name: 'rename a table', seed: 1439372344 }],
    /^alter table "public"."users_old" rename to "users"$/,
  ],
  [
    'a table that was made anew and renamed while nobody looked is taken for dropped, until people rename it back',
    [
      { name: 'stop walhook', seed: 1 },
      { name: 'make a table anew', seed: 1024440872 },
      { name: 'rename a table', seed: 1439372344 },
    ],
    /^taken back: alter table public.users rename to users_old$/,
  ],
])('%s', { timeout: timeoutMs }, async (_what, operations, mend) => {
  await using server = await openOwnServer({ wal_sender_timeout: '4s', max_replication_slots: '20' })
  await using trial = await openTrial(server, 2801)
  for (const operation of operations) await trial.operate({ ...operation, restMs: 0 }, 1)
  expect(await trial.conclude(1)).toContainEqual(expect.stringMatching(mend))
})

test('events of entities do not prove that their related table was captured', async () => {
  const waiting = { versions: { user: '7', company: '8', order: '9' }, membersBehind: '0/10' }
  const told = (isBehind: boolean) => async () => [
    { entity_type: 'user', v: '7', is_behind: isBehind },
    { entity_type: 'company', v: '8', is_behind: false },
    { entity_type: 'order', v: '9', is_behind: false },
  ]
  expect(await isTold({ sql: told(false) }, waiting)).toBe(false)
  expect(await isTold({ sql: told(true) }, waiting)).toBe(true)
})
