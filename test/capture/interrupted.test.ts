import type { Client } from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { defaultMapping } from '../../src/domain/mapping/mapping.ts'
import { connect } from '../support/connect.ts'
import { type OwnServer, openOwnServer } from '../support/own-database.ts'
import { readEvents } from '../support/read-outbox.ts'
import { type RunningCapture, startCapture } from '../support/run-capture.ts'
import { dropSlot } from '../support/slot.ts'
import { until } from '../support/wait.ts'
import { runWalhook, startWalhook, type WalhookProcess } from '../support/walhook-process.ts'

const timeoutMs = 240_000
let server: OwnServer
beforeAll(async () => {
  server = await openOwnServer({ max_replication_slots: '60', max_wal_senders: '60' })
})
afterAll(() => server[Symbol.asyncDispose]())

/** What delivers needs time to start, and has no part in it. */
const captureOnly = { WALHOOK_ROLES: 'capture,api' }
const tables =
  'create table users (id integer primary key, name text); create table companies (id integer primary key)'

async function open(sql = tables) {
  const database = await server.database({ hasOutbox: true })
  const psql = await connect(database.url)
  await psql.query(sql)
  let walhook: WalhookProcess = startWalhook(database, captureOnly)
  await walhook.ready()
  return {
    database,
    psql,
    walhook: () => walhook,
    async stop() {
      walhook.kill('SIGTERM')
      await walhook.exited
    },
    start(env: Record<string, string> = {}) {
      walhook = startWalhook(database, { ...captureOnly, ...env })
      return walhook
    },
    capture: async () =>
      (await walhook.api('GET', '/api/status')).capture as { state: string; reason: string | null },
    gaps: () => gapsOf(psql),
    async [Symbol.asyncDispose]() {
      await walhook[Symbol.asyncDispose]()
      await psql.end()
    },
  }
}
type Opened = Awaited<ReturnType<typeof open>>

/** The same with a capture in this process, which starts in a tenth of the time, for what needs nothing else of walhook. */
async function openCapture(sql = tables, mapping = defaultMapping) {
  const database = await server.database({ hasOutbox: true })
  const psql = await connect(database.url)
  await psql.query(sql)
  let capture: RunningCapture | null = await startCapture(database, mapping)
  const stop = async () => {
    await capture?.[Symbol.asyncDispose]()
    capture = null
  }
  return {
    psql,
    stop,
    async start(wanted = mapping) {
      capture = await startCapture(database, wanted)
    },
    gaps: () => gapsOf(psql),
    async [Symbol.asyncDispose]() {
      await stop()
      await psql.end()
    },
  }
}

async function gapsOf(psql: Client): Promise<string[]> {
  const { rows } = await psql.query(
    `select entity_type || ' ' || table_name || ': ' || reason as line from walhook.gaps where resynced_at is null order by 1`,
  )
  return rows.map(({ line }) => line)
}

const hasEvent = (psql: Client, event: string) =>
  until(async () => (await readEvents(psql)).includes(event), { what: `the event ${event}` })
const has = (at: Pick<Opened, 'psql'>, event: string) => hasEvent(at.psql, event)

async function isGap(at: Opened, gaps: readonly string[]) {
  await until(async () => (await at.capture()).state === 'gap', { what: 'the gap to be noticed' })
  expect(await at.gaps()).toEqual(gaps)
  const { reason } = await at.capture()
  expect(reason).toContain('walhook resync --entity user')
  expect((await fetch(`${await at.walhook().url()}/readyz`)).status).toBe(503)
}

const usersGap = (reason: string) => [`user "public"."users": ${reason}`]

type Way = [how: string, interrupt: string, gaps: readonly string[], setUp?: string]

const partitioned = `create table users (id integer primary key, name text) partition by range (id);
  create table users_1 partition of users for values from (0) to (100);
  create table users_2 partition of users for values from (100) to (200);
  create table companies (id integer primary key)`

/** Each loses a change of a table, and leaves the source as it was. */
const ways: readonly Way[] = [
  [
    'leaves the publication and returns',
    `alter publication walhook drop table users; insert into users values (2, 'lost');
     alter publication walhook add table users`,
    usersGap('table unpublished'),
  ],
  [
    'is left out of the publication by SET TABLE, and put in again',
    `alter publication walhook set table companies; insert into users values (2, 'lost');
     alter publication walhook set table companies, users`,
    usersGap('table unpublished'),
  ],
  [
    'is not published by its options for a moment',
    `alter publication walhook set (publish = 'insert, delete'); update users set name = 'lost';
     alter publication walhook set (publish = 'insert, update, delete, truncate')`,
    ['company "public"."companies": publication changed', ...usersGap('publication changed')],
  ],
  [
    'is dropped and made anew',
    `drop table users; create table users (id integer primary key, name text);
     insert into users values (2, 'lost'); alter publication walhook add table users`,
    usersGap('table replaced'),
  ],
  [
    'is renamed, and another one put in its place',
    `create table other (like users including all); insert into other values (2, 'lost');
     alter table users rename to former; alter table other rename to users;
     alter publication walhook drop table former; alter publication walhook add table users`,
    usersGap('table replaced'),
  ],
  [
    'has a row filter for a moment',
    `alter publication walhook set table companies, users where (id > 5); insert into users values (2, 'lost');
     alter publication walhook set table companies, users`,
    usersGap('table unpublished'),
  ],
  [
    'is unlogged for a moment',
    `alter publication walhook drop table users; alter table users set unlogged; insert into users values (2, 'lost');
     alter table users set logged; alter publication walhook add table users`,
    usersGap('table unpublished'),
  ],
  [
    'has a partition that is detached and attached again',
    `alter table users detach partition users_1; insert into users_1 values (2, 'lost');
     alter table users attach partition users_1 for values from (0) to (100)`,
    usersGap('partition detached'),
    partitioned,
  ],
  ['has a partition that is emptied', 'truncate users_1', usersGap('partition rewritten'), partitioned],
  [
    'has a partition that is unlogged for a moment',
    `alter table users_1 set unlogged; insert into users values (2, 'lost'); alter table users_1 set logged`,
    usersGap('partition rewritten'),
    partitioned,
  ],
  [
    'gets a partition that was unlogged for a moment',
    `create table users_3 partition of users for values from (200) to (300); insert into users values (201, 'told');
     alter table users_3 set unlogged; delete from users where id = 201; insert into users values (202, 'lost'); alter table users_3 set logged`,
    usersGap('partition rewritten'),
    partitioned,
  ],
  [
    'gets a partition in the place of one, which was unlogged at first',
    `drop table users_1; create unlogged table users_3 (like users including all); insert into users_3 values (2, 'lost');
     alter table users attach partition users_3 for values from (0) to (100); delete from users where id = 2; alter table users_3 set logged`,
    usersGap('partition rewritten'),
    partitioned,
  ],
]

test.each(ways)(
  'while walhook is stopped, a table that %s gets its own gap',
  async (_how, interrupt, gaps, sql = tables) => {
    const database = await server.database({ hasOutbox: true })
    await using psql = await connect(database.url)
    await psql.query(sql)
    {
      await using _ = await startCapture(database)
      await psql.query(`insert into users values (1, 'before')`)
      await hasEvent(psql, 'user 1 new')
    }
    for (const statement of interrupt.split(';')) await psql.query(statement)
    const isGap = async (capture: RunningCapture) => {
      await until(() => capture.state().state === 'gap', { what: 'the gap to be noticed' })
      expect(capture.state().reason).toContain('walhook resync --entity user')
      expect(await gapsOf(psql)).toEqual(gaps)
    }
    {
      await using capture = await startCapture(database)
      await isGap(capture)
      // Everything goes on, the table too.
      await psql.query('insert into companies values (1)')
      await psql.query(`insert into users values (9, 'after')`)
      await hasEvent(psql, 'company 1 new')
      await hasEvent(psql, 'user 9 new')
    }
    await using again = await startCapture(database)
    await isGap(again)
  },
  timeoutMs,
)

test(
  'a table that left the publication and returned during a stop makes readiness fail at each start',
  async () => {
    const [, interrupt, gaps] = ways[0]!
    await using at = await open()
    await at.stop()
    for (const statement of interrupt.split(';')) await at.psql.query(statement)
    await at.start().logged('capture.gap', { table: '"public"."users"' })
    await isGap(at, gaps)
    await at.stop()
    at.start()
    await isGap(at, gaps)
  },
  timeoutMs,
)

test(
  'a table that leaves the publication and returns during streaming has a gap; others continue',
  async () => {
    await using at = await open()
    await at.psql.query(
      `alter publication walhook drop table users; insert into users values (2, 'lost');
     alter publication walhook add table users`,
    )
    await at.walhook().logged('capture.gap', { table: '"public"."users"', reason: 'table unpublished' })
    await isGap(at, usersGap('table unpublished'))
    await at.psql.query('insert into companies values (1)')
    await has(at, 'company 1 new')
    const { rows } = await at.psql.query('select from_lsn < to_lsn as is_range from walhook.gaps')
    expect(rows).toEqual([{ is_range: true }])
  },
  timeoutMs,
)

test(
  "a gap begins where the table left, however late it returns, also if walhook's own fix is used",
  async () => {
    await using at = await open()
    const { rows } = await at.psql.query('select pg_current_wal_insert_lsn() as lsn')
    await at.psql.query('alter publication walhook drop table users')
    const { reason } = await at.walhook().logged('capture.state', { state: 'blocked' })
    expect(await at.gaps()).toEqual(usersGap('table unpublished'))
    await at.psql.query(`insert into users values (2, 'lost')`)
    const mend = /run: (alter publication walhook add table [^;]+;)/.exec(String(reason))![1]!
    await at.psql.query(mend)
    await isGap(at, usersGap('table unpublished'))
    const gap = await at.psql.query(
      'select from_lsn <= $1::pg_lsn as is_early, to_lsn > $1::pg_lsn as is_late from walhook.gaps',
      [rows[0].lsn],
    )
    expect(gap.rows).toEqual([{ is_early: true, is_late: true }])
  },
  timeoutMs,
)

test(
  'resync --entity sends existing rows and deletes while the stream continues, and ends the gap',
  async () => {
    await using at = await open()
    await at.psql.query(
      `insert into companies values (1); insert into users values (1, 'before'), (2, 'before')`,
    )
    await has(at, 'user 2 new')
    await at.psql.query(`
    alter publication walhook drop table users;
    delete from users where id = 1; update users set name = 'lost'; insert into users values (3, 'lost');
    alter publication walhook add table users`)
    await isGap(at, usersGap('table unpublished'))
    const before = (await readEvents(at.psql)).length

    const resync = (...args: string[]) => runWalhook(at.database, ['resync', ...args])
    expect((await resync('--entity', 'company')).stdout).toMatch(/^Nothing is lost/)
    expect(await resync('--entity', 'nobody')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('user, company'),
    })
    const plan = await resync('--entity', 'user')
    expect(plan.stdout).toMatch(
      /Changes of "public"."users" are lost from [0-9A-F]+\/[0-9A-F]+ to [0-9A-F]+\/[0-9A-F]+/,
    )
    const command = /walhook (resync .*--yes)/.exec(plan.stdout)![1]!
    expect(await runWalhook(at.database, command.split(' '))).toMatchObject({ code: 0, stderr: '' })
    await at.walhook().ready()
    expect(await at.gaps()).toEqual([])
    expect((await readEvents(at.psql, 'name')).slice(before)).toEqual([
      'user 2 update lost',
      'user 3 new lost',
      'user 1 delete',
    ])
    expect((await at.capture()).state).toBe('streaming')
  },
  timeoutMs,
)

test(
  'a table that is lost again while its resync runs keeps its gap',
  async () => {
    await using at = await open()
    const lose = (id: number) => `
    alter publication walhook drop table users; insert into users values (${id}, 'lost');
    alter publication walhook add table users`
    await at.psql.query(lose(1))
    await isGap(at, usersGap('table unpublished'))
    await at.stop()
    // Nobody captures: the resync waits.
    expect(await runWalhook(at.database, ['resync', '--yes'])).toMatchObject({ code: 0 })
    await at.psql.query(lose(2))
    at.start()
    await at.walhook().ready()
    expect((await readEvents(at.psql)).sort()).toEqual(['user 1 new', 'user 2 new'])
  },
  timeoutMs,
)

test(
  'a publication that is dropped and created again is a loss of everything, and only a resync ends it',
  async () => {
    await using at = await open()
    await at.stop()
    const slot = at.database.name
    await at.psql.query('drop publication walhook')
    await at.psql.query(`insert into users values (1, 'lost')`)
    await at.psql.query(
      'create publication walhook for table users, companies with (publish_via_partition_root = true)',
    )
    const walhook = at.start()
    const { reason } = await walhook.logged('capture.state', { state: 'lost' })
    expect(reason).toContain('publication remade')
    // It has looked again by then.
    await until(() => walhook.log.filter(({ msg }) => msg === 'capture.failed').length >= 2, {
      what: 'the next try',
    })
    expect((await at.capture()).state).toBe('lost')
    expect(await runWalhook(at.database, ['resync', '--yes'])).toMatchObject({ code: 0, stderr: '' })
    await walhook.ready()
    await has(at, 'user 1 new')
    const { rows } = await at.psql.query(
      'select count(*)::int as slots from pg_replication_slots where slot_name = $1',
      [slot],
    )
    expect(rows).toEqual([{ slots: 1 }])
  },
  timeoutMs,
)

test(
  'a slot older than its publication either works, or is a loss that a resync ends',
  async () => {
    const database = await server.database()
    await using psql = await connect(database.url)
    await psql.query(tables)
    await psql.query(`select pg_create_logical_replication_slot('${database.name}', 'pgoutput')`)
    await psql.query(`insert into users values (1, 'older')`)
    await psql.query(
      'create publication walhook for table users, companies with (publish_via_partition_root = true)',
    )
    const { rows } = await psql.query(
      `select current_setting('server_version_num')::int >= 180000 as reads_it`,
    )
    await using walhook = startWalhook(database)
    if (!rows[0].reads_it) {
      const { reason } = await walhook.logged('capture.state', { state: 'lost' })
      expect(reason).toContain('slot older than publication')
      expect(await runWalhook(database, ['resync', '--yes'])).toMatchObject({ code: 0, stderr: '' })
    }
    await walhook.ready()
    await psql.query(`insert into users values (2, 'newer')`)
    await until(async () => (await readEvents(psql)).includes('user 2 new'), { what: 'the change after' })
  },
  timeoutMs,
)

test(
  'a start with a table missing from the publication blocks capture; pending deliveries are still sent',
  async () => {
    await using at = await open()
    await at.stop()
    await at.psql.query('alter publication walhook drop table users')
    const walhook = at.start()
    const { reason } = await walhook.logged('capture.state', { state: 'blocked' })
    expect(reason).toContain('alter publication walhook add table "public"."users"')
    expect(await at.gaps()).toEqual(usersGap('table unpublished'))
    expect((await fetch(`${await walhook.url()}/livez`)).status).toBe(200)
  },
  timeoutMs,
)

test(
  'harmless changes of a table and its publication cause no gap',
  async () => {
    await using at = await openCapture()
    await at.psql.query('create role another; create schema elsewhere')
    const statements = `
    grant select on users to another; alter table users add column x integer; create index on users (name);
    alter table users rename to people; alter table people rename to users;
    alter table users set schema elsewhere; alter table elsewhere.users set schema public;
    alter publication walhook owner to another; alter publication walhook owner to postgres;
    alter table users replica identity full; alter table users replica identity default;
    create table noise (id integer primary key); alter publication walhook add table noise;
    alter publication walhook drop table noise; vacuum full users; cluster users using users_pkey; truncate users;
    analyze; vacuum freeze; vacuum full pg_publication_rel; vacuum full pg_publication`
    await at.stop()
    for (const statement of statements.split(';').filter(each => !each.includes('owner to postgres')))
      await at.psql.query(statement)
    await at.start()
    await at.psql.query(`insert into users values (1, 'after')`)
    await has(at, 'user 1 new')
    expect(await at.gaps()).toEqual([])
  },
  timeoutMs,
)

test.each([['while walhook is stopped'], ['while it reads']])(
  'harmless changes of partitions cause no gap: %s',
  async when => {
    await using at = await openCapture(partitioned)
    await at.psql.query(
      `create table former (like users including all); insert into former values (201, 'old')`,
    )
    await at.psql.query(`insert into users values (1, 'one'), (2, 'two'), (101, 'three')`)
    await has(at, 'user 101 new')
    const isStopped = when === 'while walhook is stopped'
    for (const statements of [
      'vacuum full users_1; cluster users_2 using users_2_pkey; vacuum full; grant select on users_1 to public',
      `update users set name = 'again' where id = 1; insert into users values (102, 'four'); vacuum full users_1; reindex table users_2`,
      `truncate users; insert into users values (3, 'three')`,
      'vacuum full former; alter table users attach partition former for values from (200) to (300)',
    ]) {
      if (isStopped) await at.stop()
      for (const statement of statements.split(';')) await at.psql.query(statement)
      if (isStopped) await at.start()
      const files = `select count(*)::int as n from pg_class join walhook.captured on true
        where (relname ~ '^users_.$' or relname = 'former' and relispartition) and facts #>> array['tables', '"public"."users"', 'files', oid::text] = relfilenode::text`
      await until(
        async () => (await at.psql.query(files)).rows[0].n === (statements.includes('former') ? 3 : 2),
        {
          what: 'a look at the new files',
        },
      )
    }
    await has(at, 'user 3 new')
    expect(await at.gaps()).toEqual([])
  },
  timeoutMs,
)

test(
  'a table mapped for the first time has no gap; one that returns to the mapping has one',
  async () => {
    await using at = await openCapture(`${tables}; create table teams (id integer primary key)`)
    const team = { entityType: 'team', table: { schema: 'public', name: 'teams' } }
    const withTeams = [...defaultMapping, { ...defaultMapping[1]!, ...team }]
    await at.stop()
    await at.psql.query('alter publication walhook add table teams; insert into teams values (1)')
    await at.start(withTeams)
    await at.psql.query('insert into teams values (2)')
    await has(at, 'team 2 new')
    expect(await at.gaps()).toEqual([])

    await at.stop()
    await at.start()
    await at.psql.query('delete from teams where id = 2')
    await at.stop()
    await at.start(withTeams)
    await until(async () => (await at.gaps()).length > 0, { what: 'the gap to be noticed' })
    expect(await at.gaps()).toEqual(['team "public"."teams": table unmapped'])
  },
  timeoutMs,
)

test.each<[string, string, string]>([
  [
    'a table that was made anew',
    'drop table users; create table users (id integer primary key, name text)',
    '',
  ],
  [
    'a publication that was gone for a moment',
    'drop publication walhook',
    'create publication walhook for table users, companies',
  ],
])(
  'a loss of everything begins at the last sound position of %s, although other tables were stored beyond',
  async (_what, breakIt, mendIt) => {
    await using at = await open()
    await at.psql.query('insert into companies values (0)')
    await has(at, 'company 0 new')
    const { rows: before } = await at.psql.query('select pg_current_wal_lsn() as lsn')
    await at.psql.query(breakIt)
    await at.psql.query(`insert into users values (7, 'nobody is told')`)
    await at.psql.query(`${mendIt}; insert into companies values (1)`)
    // On 15 a publication that is gone ends the stream; else this is stored, and the position is beyond what was lost.
    await Promise.race([has(at, 'company 1 new'), new Promise(resolve => setTimeout(resolve, 2_000))])
    at.walhook().kill('SIGKILL')
    await at.walhook().exited
    await dropSlot(at.psql, at.database.name)
    at.start()
    await until(async () => (await at.capture()).state === 'lost', { what: 'the loss to be noticed' })
    const covering = `select from walhook.gaps where from_lsn <= $1 and coalesce(entity_type, 'user') = 'user'`
    expect((await at.psql.query(covering, [before[0].lsn])).rowCount).toBeGreaterThan(0)
  },
  timeoutMs,
)
