import { mkdtempDisposable, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { connect } from '../support/connect.ts'
import { createTestDatabase } from '../support/database.ts'
import { openLimitedRole } from '../support/limited-role.ts'
import { openTestLink } from '../support/test-link.ts'
import { until } from '../support/wait.ts'
import { adminToken, runWalhook, startWalhook } from '../support/walhook-process.ts'

const endAll = `select count(pg_terminate_backend(pid))::int as ended from pg_stat_activity
  where application_name like 'walhook%' and datname = current_database()`

const tables = 'create table companies (id integer primary key); create table users (id integer primary key)'

async function open() {
  const database = await createTestDatabase()
  const psql = await connect(database.url)
  await psql.query(tables)
  return {
    database,
    psql,
    /** Ends connections of walhook as soon as they are there, until `isOver`. */
    async endUntil(isOver: () => boolean) {
      while (!isOver()) await psql.query(endAll)
    },
    async [Symbol.asyncDispose]() {
      await psql.end()
      await database.drop()
    },
  }
}

test('a start that the database cuts off is logged and retried', async () => {
  await using at = await open()
  await using walhook = startWalhook(at.database)
  const isSaid = () => walhook.log.some(({ msg }) => msg === 'walhook.start_cut_off')
  await at.endUntil(() => isSaid() || walhook.hasEnded())
  expect(walhook.stderr()).toBe('')
  await walhook.ready()
})

test('a start whose database connection is cut in any step is logged and retried', async () => {
  await using at = await open()
  for (let n = 0; n < 6; n++) {
    await using link = await openTestLink(at.database.url)
    await using walhook = startWalhook({ ...at.database, url: link.url })
    const isSaid = () => walhook.log.some(({ msg }) => msg === 'walhook.start_cut_off')
    await until(
      () => {
        // Where nothing was reached yet nothing is cut off: the start says that there is no connection.
        if (link.isUsed()) link.cut()
        return isSaid() || walhook.hasEnded()
      },
      { what: 'the start to be cut off', intervalMs: 3 + 5 * n },
    )
    expect(walhook.stderr()).toBe('')
    if (n === 0) await walhook.ready()
  }
})

test('a start that finds no free connection waits for one, and a command says so', async () => {
  await using at = await openLimitedRole(tables, 'users, companies')
  await at.admin.query(`alter role ${at.role} connection limit 0`)
  const refused = await runWalhook(at.database, ['migrate'])
  expect(refused).toMatchObject({ code: 1, stdout: '' })
  expect(refused.stderr).toMatch(
    /^database: cut off: too many connections for role .*Fix: .*free connections/,
  )
  await using walhook = startWalhook(at.database)
  await until(() => walhook.hasEnded() || walhook.log.some(({ msg }) => msg === 'walhook.start_cut_off'), {
    what: 'the start to be refused',
  })
  expect(walhook.stderr()).toBe('')
  await at.admin.query(`alter role ${at.role} connection limit -1`)
  await walhook.ready()
})

test('a password that is rotated is an outage, and never a reason to skip changes', async () => {
  await using at = await openLimitedRole(tables, 'users, companies')
  await using walhook = startWalhook(at.database)
  await walhook.ready()
  await at.admin.query(`alter role ${at.role} password 'another'`)
  await at.admin.query(endAll)
  const refusals = () =>
    walhook.log.filter(({ msg, reason }) => msg === 'capture.failed' && String(reason).includes('28P01'))
  await until(() => refusals().length > 4, {
    what: 'capture to be refused again and again',
    timeoutMs: 60_000,
  })
  const readyz = await fetch(`${await walhook.url()}/readyz`, {
    headers: { authorization: `Bearer ${adminToken}` },
  })
  expect(await readyz.text()).not.toMatch(/blocked|resync/)
  await at.admin.query(`alter role ${at.role} password 'walhook'`)
  await walhook.ready()
})

test('a password file that is rewritten while walhook runs is read at the next connection', async () => {
  await using at = await openLimitedRole(tables, 'users, companies')
  await using folder = await mkdtempDisposable(join(tmpdir(), 'walhook-passfile-'))
  const path = join(folder.path, 'passwords')
  const write = (password: string) => writeFile(path, `*:*:*:${at.role}:${password}\n`, { mode: 0o600 })
  await write('walhook')
  const url = new URL(at.database.url)
  url.password = ''
  url.searchParams.set('passfile', path)
  await using walhook = startWalhook({ ...at.database, url: url.href })
  await walhook.ready()
  await at.admin.query(`alter role ${at.role} password 'another'`)
  await at.admin.query(endAll)
  await until(() => walhook.log.some(({ reason }) => String(reason).includes('28P01')), {
    what: 'the old password to be refused',
    timeoutMs: 60_000,
  })
  await at.admin.query('insert into users values (1)')
  await write('another')
  const events = async () => (await at.admin.query('select from walhook.events')).rowCount
  await until(async () => (await events()) === 1, { what: 'the event', timeoutMs: 60_000 })
  await walhook.ready()
})

/** Each: what an operator does to the role or the outbox, and how it is undone. */
const setups = {
  'a revoked INSERT': ['revoke insert on walhook.events from ROLE', 'grant insert on walhook.events to ROLE'],
  'forced row-level security': [
    'alter table walhook.events enable row level security, force row level security',
    'alter table walhook.events disable row level security, no force row level security',
  ],
  'a renamed schema': ['alter schema walhook rename to moved', 'alter schema moved rename to walhook'],
  'a revoked CONNECT': [
    'revoke connect on database DATABASE from public',
    'grant connect on database DATABASE to public',
  ],
  'a role without REPLICATION': ['alter role ROLE noreplication', 'alter role ROLE replication'],
} as const

test.for(Object.entries(setups))(
  '%s stops capture, never skips a change, and ends by itself',
  async ([, [refuse, permit]], { expect }) => {
    await using at = await openLimitedRole(tables, 'users, companies')
    const run = (sql: string) =>
      at.admin.query(sql.replaceAll('ROLE', at.role).replaceAll('DATABASE', at.database.name))
    await using walhook = startWalhook(at.database)
    await walhook.ready()
    await run(refuse)
    await at.admin.query(endAll)
    await at.admin.query(`insert into users values (1)`)
    const states = () => walhook.log.filter(({ msg, code }) => msg === 'capture.state' && code !== undefined)
    await until(() => states().length > 0, { what: 'a code', timeoutMs: 60_000 })
    expect(
      states()
        .flatMap(({ code, reason }) => [code, reason])
        .join(' '),
    ).not.toMatch(/resync/)
    await run(permit)
    const events = async () => (await at.admin.query('select entity_id from walhook.events')).rows
    await until(async () => (await events()).length === 1, { what: 'the event', timeoutMs: 60_000 })
    await walhook.ready()
  },
)

test('a command that the database cuts off says that it may be run again', async () => {
  await using at = await open()
  let isOver = false
  const [done] = await Promise.all([
    runWalhook(at.database, ['check']).finally(() => {
      isOver = true
    }),
    at.endUntil(() => isOver),
  ])
  expect(done).toMatchObject({ code: 1, stdout: '' })
  expect(done.stderr).toMatch(/^database: cut off: .*Fix: .*run the command again/)
})
