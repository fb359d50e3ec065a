import { type AddressInfo, createServer } from 'node:net'
import { beforeEach, expect, test } from 'vitest'
import packageJson from '../../package.json' with { type: 'json' }
import { connect } from '../support/connect.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { runHere } from '../support/run-command.ts'
import { runWalhook, startWalhook } from '../support/walhook-process.ts'

const tables = 'create table users (id integer primary key); create table companies (id integer primary key);'

let database: TestDatabase
beforeEach(async () => {
  database = await createTestDatabase()
})

async function query(text: string) {
  await using psql = await connect(database.url)
  return (await psql.query(text)).rows
}

const traces = `
  select (select count(*)::int from pg_publication) as publications, to_regnamespace('walhook') as schema,
         (select count(*)::int from pg_replication_slots where database = current_database()) as slots`
const untouched = [{ publications: 0, schema: null, slots: 0 }]

test('check reports whether a source can be captured, and leaves no trace', async () => {
  const refused = await runWalhook(database, ['check'])
  expect(refused).toMatchObject({ code: 1, stderr: '' })
  expect(refused.stdout.split('\n').filter(line => line.startsWith('error'))).toEqual([
    expect.stringMatching(/^error +table "public"\."users": missing\. Fix: /),
    expect.stringMatching(/^error +table "public"\."companies": missing\. Fix: /),
  ])
  await query(tables)
  const passed = await runWalhook(database, ['check'], { WALHOOK_SECRET_KEY: '' })
  // Without a bound on the WAL that is kept for a slot, the worst is a warning.
  expect(passed).toMatchObject({ code: 3, stderr: '' })
  expect(passed.stdout).toMatch(/^warning +max_slot_wal_keep_size: unlimited.+Fix: .+alter system set/m)
  expect(passed.stdout).toMatch(/^ok +the application's statements: none fails because of walhook$/m)
  const json = await runWalhook(database, ['check', '--json'])
  expect(JSON.parse(json.stdout)).toContainEqual({
    level: 'ok',
    code: 'wal_level',
    what: 'wal_level',
    found: 'logical',
    mend: null,
  })
  expect(await query(traces)).toEqual(untouched)
})

test('a taken port ends serve before any change', async () => {
  await query(tables)
  const other = createServer()
  await new Promise<void>(resolve => other.listen(0, '127.0.0.1', resolve))
  try {
    const { port } = other.address() as AddressInfo
    const { code, stderr } = await runWalhook(database, ['serve'], { PORT: String(port) })
    expect(stderr).toBe(
      `PORT: another program listens on 127.0.0.1, port ${port}. Fix: set PORT to a free port, or to 0 for any free one\n`,
    )
    expect(code).toBe(1)
    expect(await query(traces)).toEqual(untouched)
  } finally {
    other.close()
  }
})

test('migrate creates the schema, and does nothing the second time', async () => {
  const first = await runWalhook(database, ['migrate'])
  expect(first).toEqual({ code: 0, stdout: expect.stringMatching(/^applied 0001_outbox/), stderr: '' })
  expect(await runWalhook(database, ['migrate'])).toEqual({ code: 0, stdout: 'up to date\n', stderr: '' })
})

test('serve migrates an older schema, here an empty one, and logs it', async () => {
  await query(`${tables} create schema walhook`)
  await using walhook = startWalhook(database)
  expect((await walhook.logged('outbox.migrated')).applied).toContain('0001_outbox')
  await walhook.ready()
})

test('token prints only the new token, which works at once and has the given account', async () => {
  await query(`${tables} insert into users values (41), (42)`)
  const made = await runWalhook(database, ['token', 'CI', '--user', '42', '--role', 'admin'])
  expect(made).toEqual({ code: 0, stdout: expect.stringMatching(/^whk_[\w-]+\n$/), stderr: '' })
  await using walhook = startWalhook(database)
  const headers = { authorization: `Bearer ${made.stdout.trim()}` }
  const post = async (path: string, body: object) => {
    const url = `${await walhook.url()}${path}`
    return (await fetch(url, { method: 'POST', headers, body: JSON.stringify(body) })).json() as Promise<
      Record<string, unknown>
    >
  }
  const { id } = await post('/api/webhooks', {
    name: 'CRM',
    url: 'http://127.0.0.1:1/',
    triggers: ['user.new'],
  })
  expect(await post(`/api/webhooks/${id}/test`, {})).toMatchObject({
    entity_id: '42',
    outcome: 'unreachable',
  })
  expect(await post(`/api/webhooks/${id}/test`, { user_id: 41 })).toMatchObject({ entity_id: '41' })
  expect(JSON.stringify(walhook.log)).not.toContain(made.stdout.trim())
})

test('tokens have a role and an expiry, are listed without their text, and can be revoked', async () => {
  const viewer = await runWalhook(database, [
    'token',
    'Screen',
    '--role',
    'viewer',
    '--expires',
    '90d',
    '--user',
    '42',
  ])
  expect(viewer).toEqual({ code: 0, stdout: expect.stringMatching(/^whk_[\w-]+\n$/), stderr: '' })
  await runWalhook(database, ['token', 'CI', '--role', 'admin', '--expires', 'never'])
  const listed = async () => (await runWalhook(database, ['token', '--list'])).stdout
  expect((await listed()).split('\n')).toEqual([
    expect.stringMatching(/^ +ID +ROLE +USER +LAST USED +STATE +NAME$/),
    expect.stringMatching(/^ +1 +viewer +42 +never +until \d{4}-\d\d-\d\dT\d\d:\d\dZ +Screen$/),
    expect.stringMatching(/^ +2 +admin +- +never +valid +CI$/),
    '',
  ])
  expect(await listed()).not.toContain('whk_')
  expect(await runWalhook(database, ['token', '--revoke', '1'])).toEqual({
    code: 0,
    stdout: 'revoked 1 Screen\n',
    stderr: '',
  })
  expect(await listed()).toMatch(/^ +1 .+ revoked \d{4}-.+ Screen$/m)
  expect(await runWalhook(database, ['token', '--revoke', '7'])).toEqual({
    code: 1,
    stdout: '',
    stderr: 'walhook: no such token: 7; --list shows them\n',
  })
  expect(await query('select actor_kind, action, target_id from walhook.audit order by id')).toEqual([
    { actor_kind: 'command line', action: 'token.created', target_id: '1' },
    { actor_kind: 'command line', action: 'token.created', target_id: '2' },
    { actor_kind: 'command line', action: 'token.revoked', target_id: '1' },
  ])
})

test.each([
  [['token', 'CI', '--role', 'owner'], '--role "owner" is not one of viewer, operator, admin'],
  [['token', 'CI', '--expires', 'soon'], '--expires "soon" is not a future time'],
  [['token', 'CI', '--expires', '2020-01-01'], '--expires "2020-01-01" is not a future time'],
  [['token', 'CI', '--list'], 'token takes one of NAME, --list, --revoke ID'],
  [['token', '--list', '--revoke', '1'], 'token takes one of NAME, --list, --revoke ID'],
  [['token', '--revoke', 'CI'], '--revoke "CI" is not a token id'],
])('%j is refused without an effect', async (args, expected) => {
  const { code, stdout, stderr } = await runWalhook(database, args)
  expect(stderr).toContain(`walhook: ${expected}`)
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
})

test.each([
  [['token', '']],
  [['token', '  ']],
  [['token', 'x'.repeat(201)]],
  [['token', 'two', 'names']],
  [['token', 'CI', '--user', '']],
])('%j creates no token', async args => {
  const { code, stdout, stderr } = await runWalhook(database, args)
  expect(stdout).toBe('')
  expect(stderr).toMatch(/^walhook: (token takes one NAME|--user )/)
  expect(code).toBe(2)
})

test.each(['--help', '-h', 'help'])('%s shows every command, also with an empty environment', async flag => {
  const { code, stdout, stderr } = await runHere([flag])
  for (const command of ['serve', 'check', 'migrate', 'token', 'listen'])
    expect(stdout).toContain(`walhook ${command}`)
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
})

test('by default a token has the role viewer and expires', async () => {
  await runWalhook(database, ['token', 'CI'])
  expect(
    await query(
      `select role, round(extract(epoch from expires_at - now()) / 86400)::int as days from walhook.tokens`,
    ),
  ).toEqual([{ role: 'viewer', days: 90 }])
})

test.each(['serve', 'check', 'migrate', 'resync', 'backfill', 'token', 'rekey', 'listen'])(
  '%s --help shows the usage, and does nothing',
  async command => {
    const printed = [await runWalhook(null, [command, '--help'])]
    for (const args of [
      [command, '-h'],
      ['help', command],
      [command, '--yes', '--help'],
    ])
      printed.push(await runHere(args))
    for (const { code, stdout, stderr } of printed) {
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
      const commands = [...stdout.matchAll(/^ {2}walhook (\w+)/gm)].map(([, name]) => name)
      expect(new Set(commands)).toEqual(new Set([command]))
    }
  },
)

test('a wrong option shows the usage of its command', async () => {
  const { code, stdout, stderr } = await runWalhook(null, ['token', '--rolle', 'viewer'])
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
  expect(stderr).toMatch(/^walhook: Unknown option '--rolle'/)
  expect(stderr).toContain('walhook token NAME')
  expect(stderr).not.toContain('walhook serve')
})

test.each(['--version', '-v', 'version'])('%s prints the version of the package', async asked => {
  expect(await runHere([asked])).toEqual({
    code: 0,
    stdout: `walhook ${packageJson.version}\n`,
    stderr: '',
  })
})

test('an unknown variable is a warning, and does not stop the command', async () => {
  const { code, stderr } = await runWalhook(database, ['migrate'], { WALHOOK_SLOTT: 'mine' })
  expect(stderr).toBe(
    'WALHOOK_SLOTT: unknown variable, without effect. Fix: write WALHOOK_SLOT, or remove it\n',
  )
  expect(code).toBe(0)
})

test.each([
  ['cook', ''],
  ['Serve', ': did you mean serve?'],
  ['webhook', ': did you mean webhooks?'],
  ['constructor', ''],
  ['__proto__', ''],
  ['toString', ''],
  ['--serve', ': did you mean serve?'],
  ['', ''],
])('the command %j is unknown', async (name, meant) => {
  const { code, stdout, stderr } = await runHere([name])
  expect(stderr).toContain(`walhook: unknown command ${JSON.stringify(name)}${meant}\n`)
  // All usages would push that line off the screen.
  expect(stderr).toContain('walhook --help lists all commands.')
  expect(stderr.split('\n').length).toBeLessThan(5)
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
})
