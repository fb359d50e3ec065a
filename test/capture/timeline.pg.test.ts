import { execFile } from 'node:child_process'
import { mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { type EmbeddedPostgres, removeEmbeddedPostgres } from '../../playground/embedded-postgres.ts'
import { connect } from '../support/connect.ts'
import { createTestDatabase } from '../support/database.ts'
import { startOwnServer } from '../support/own-server.ts'
import { readEvents } from '../support/read-outbox.ts'
import { until } from '../support/wait.ts'
import { startWalhook } from '../support/walhook-process.ts'

/** A source of its own, of which copies can be promoted, and an outbox that stays. */
async function open() {
  const dataDir = await mkdtemp(join(tmpdir(), 'walhook-timeline-'))
  let server: EmbeddedPostgres = await startOwnServer(dataDir)
  const outbox = await createTestDatabase({ hasOutbox: true })
  const events = await connect(outbox.url)
  const backup = `${server.dataDir}.backup`
  const write = async (...statements: string[]) => {
    await using psql = await connect(server.url)
    for (const statement of statements) await psql.query(statement)
  }
  await write(
    'create table users (id integer primary key, name text)',
    'create table companies (id integer primary key)',
  )
  return {
    events,
    write,
    start: () =>
      startWalhook({ url: server.url, name: 'walhook_timeline' }, { OUTBOX_DATABASE_URL: outbox.url }),
    /** Stops the server, and keeps its data as they are. */
    async backUp() {
      await server.stop()
      await promisify(execFile)('cp', ['-a', server.dataDir, backup])
      server = await startOwnServer(dataDir)
    },
    /** What was kept is the server from now on, on a timeline of its own. */
    async promote() {
      await server.stop()
      await promisify(execFile)('rm', ['-rf', server.dataDir])
      await promisify(execFile)('mv', [backup, server.dataDir])
      await writeFile(join(server.dataDir, 'cluster', 'standby.signal'), '')
      server = await startOwnServer(dataDir)
      await write('select pg_promote()')
    },
    async [Symbol.asyncDispose]() {
      await events.end()
      await server.stop('immediate')
      await removeEmbeddedPostgres({ dataDir })
      await outbox.drop()
    },
  }
}

async function captured(at: Awaited<ReturnType<typeof open>>, event: string) {
  const walhook = at.start()
  await walhook.ready()
  await until(async () => (await readEvents(at.events)).includes(event), { what: event })
  walhook.kill('SIGTERM')
  await walhook.exited
}

test('a server restored to an earlier time is a loss, although it has written more WAL since', async () => {
  await using at = await open()
  {
    await using first = at.start()
    await first.ready()
  }
  await at.write(`insert into users values (1, 'before')`)
  await captured(at, 'user 1 new')
  await at.backUp()
  await at.write(`insert into users values (2, 'forgotten')`)
  await captured(at, 'user 2 new')
  await at.promote()
  await at.write(
    `insert into users values (3, 'never told')`,
    `create table noise as select repeat('x', 1000) from generate_series(1, 20000)`,
  )
  await using walhook = at.start()
  const { reason } = await walhook.logged('capture.state', { state: 'lost' })
  expect(reason).toContain('other history')
  expect(reason).toContain('left the captured timeline')
}, 240_000)

test('a promoted standby that received everything continues where the primary ended', async () => {
  await using at = await open()
  {
    await using first = at.start()
    await first.ready()
  }
  await at.write(`insert into users values (1, 'before')`)
  await captured(at, 'user 1 new')
  await at.backUp()
  await at.promote()
  await at.write(`insert into users values (2, 'after')`)
  await captured(at, 'user 2 new')
  // The timeline is remembered.
  await at.write(`insert into users values (3, 'later')`)
  await captured(at, 'user 3 new')
  expect(await readEvents(at.events)).toEqual(['user 1 new', 'user 2 new', 'user 3 new'])
}, 240_000)
