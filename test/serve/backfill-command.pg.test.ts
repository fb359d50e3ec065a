import { beforeEach, expect, test } from 'vitest'
import { openBackfills } from '../support/backfill.ts'
import { connect } from '../support/connect.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { readEvents } from '../support/read-outbox.ts'
import { runWalhook, startCommand, startWalhook } from '../support/walhook-process.ts'

let database: TestDatabase
beforeEach(async () => {
  database = await createTestDatabase({ hasOutbox: true })
  await using psql = await connect(database.url)
  await psql.query(`
    create table users (id integer primary key); create table companies (id integer primary key);
    insert into users select i from generate_series(1, 150) i; analyze users`)
})

test('backfill shows its progress until it is done, describes one, lists and cancels', async () => {
  await using walhook = startWalhook(database, { WALHOOK_ROLES: 'capture,api' })
  await walhook.ready()
  await using at = await openBackfills(database)
  const webhook = await at.webhook('user.update')

  const refused = await runWalhook(database, ['backfill', '--entity', 'user'])
  expect(refused).toMatchObject({
    code: 1,
    stdout: '',
    stderr: 'walhook: No active webhook has the trigger user.new, so nothing would be sent.\n',
  })
  const args = ['backfill', '--entity', 'user', '--webhook', String(webhook), '--action', 'update']
  const done = await runWalhook(database, [...args, '--rate', '100000'])
  expect(done).toMatchObject({ code: 0, stderr: '' })
  expect(done.stdout.split('\n').at(-2)).toMatch(
    new RegExp(`^backfill 1: user as update to webhook ${webhook}, done, 150 rows, \\d+`),
  )
  await using psql = await connect(database.url)
  expect(await readEvents(psql)).toHaveLength(150)

  const id = await at.start({ actionType: 'update', rowsPerSecond: 1 })
  await at.is(id, ({ rowsDone }) => rowsDone > 0, 'the first page')
  const cancelled = await runWalhook(database, ['backfill', '--cancel', String(id)])
  expect(cancelled.stdout).toMatch(/^backfill 2: user as update to every webhook, cancelled, \d+ rows/)
  expect(cancelled.stdout).toContain('cancelled by command line')
  const listed = await runWalhook(database, ['backfill', '--list'])
  expect(listed.stdout.split('\n').map(line => line.split(':')[0])).toEqual(['backfill 2', 'backfill 1', ''])
  const again = await runWalhook(database, ['backfill', '--cancel', String(id)])
  expect(again).toMatchObject({
    code: 1,
    stderr: `walhook: Backfill ${id} has ended already: its state is cancelled.\n`,
  })
})

test('backfill reports a missing capturing process, continues after Ctrl-C, and its rate can be changed meanwhile', async () => {
  await using at = await openBackfills(database)
  await at.webhook('user.new')
  const env = { DATABASE_URL: database.url, WALHOOK_SLOT: database.name.slice(0, 63) }
  await using command = startCommand(['backfill', '--entity', 'user', '--rate', '1'], env)
  await command.printed(
    /^backfill 1: user as new to every webhook, waiting, 0 rows\. Waiting: no process reads the slot/,
  )
  command.kill('SIGINT')
  await command.printed(/^Backfill 1 continues in the background\. Progress: walhook backfill --follow 1/)
  expect(await command.exited).toEqual({ code: 0, signal: null })

  await using walhook = startWalhook(database, { WALHOOK_ROLES: 'capture,api' })
  await walhook.ready()
  const followed = await runWalhook(database, ['backfill', '--follow', '1', '--rate', '100000'])
  expect(followed).toMatchObject({ code: 0, stderr: '' })
  expect(followed.stdout).toMatch(/\nbackfill 1: user as new to every webhook, done, 150 rows/)
})

test.each([
  [[], 'backfill takes one of --entity TYPE, --list, --follow ID, --cancel ID'],
  [['--entity', 'user', '--list'], 'backfill takes one of'],
  [['--entity', 'user', '--rate', '0'], '--rate "0" is not from 1 to 100000 rows per second'],
  [['--entity', 'user', '--action', 'delete'], '--action "delete" is not new or update'],
  [['--entity', 'user', '--webhook', 'CRM'], '--webhook takes an id'],
  [['--cancel', '1', '--rate', '5'], '--rate goes with --entity or --follow'],
  [['--follow', '1', '--action', 'new'], '--webhook and --action go with --entity'],
])('backfill %j is refused', async (args, words) => {
  const refused = await runWalhook(database, ['backfill', ...args])
  expect(refused.code).toBe(2)
  expect(refused.stderr).toContain(`walhook: ${words}`)
})
