import { readdir, readFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { firstIdAt } from '../../src/domain/value/time-id.ts'
import { openOutbox, transaction } from '../../src/outbox/database/database.ts'
import { describeMigration, migrate, pendingMigrations } from '../../src/outbox/database/migrate.ts'
import { dayMs, ensurePartitions } from '../../src/outbox/days/partitions.ts'
import { connect } from '../support/connect.ts'
import { createTestDatabase } from '../support/database.ts'
import { openTestOutbox } from '../support/open-outbox.ts'
import { dumpSchema } from '../support/schema-dump.ts'
import { until } from '../support/wait.ts'
import { runWalhook } from '../support/walhook-process.ts'

const migrations = new URL('../../migrations/', import.meta.url)

test('migrations/schema.sql equals the migrated schema (if not: npm run schema)', async () => {
  await using at = await openTestOutbox()
  await using client = await connect(at.database.url)
  const kept = await readFile(new URL('../../migrations/schema.sql', import.meta.url), 'utf8')
  expect(kept).toBe(await dumpSchema(client))
})

test('two processes that start together apply each migration once', async () => {
  await using database = await createTestDatabase()
  const results = await Promise.all([1, 2, 3].map(() => runWalhook(database, ['migrate'])))
  expect(results.map(({ code, stderr }) => [code, stderr])).toEqual([
    [0, ''],
    [0, ''],
    [0, ''],
  ])
  expect(results.filter(({ stdout }) => stdout.startsWith('applied 0001_outbox'))).toHaveLength(1)
  expect(results.filter(({ stdout }) => stdout === 'up to date\n')).toHaveLength(2)
})

test('a schema of a newer walhook is not changed', async () => {
  await using at = await openTestOutbox()
  expect(await pendingMigrations(at.outbox)).toEqual([])
  await at.outbox.pool.query(`insert into walhook.migrations values ('9999_from_the_future', now())`)
  expect(describeMigration(await migrate(at.outbox))).toEqual({
    ok: false,
    problem: {
      code: 'outbox_newer',
      what: 'schema walhook',
      found: 'created by a newer walhook (it has 9999_from_the_future)',
      mend: 'start that version, or a newer one',
    },
  })
})

test('a migration that fails leaves nothing behind', async () => {
  await using database = await createTestDatabase()
  await using outbox = openOutbox({ url: database.url, maxConnections: 2, onError() {} })
  await outbox.pool.query('create schema walhook; create table walhook.tokens (id integer)')
  const described = describeMigration(await migrate(outbox))
  expect(described).toMatchObject({ ok: false, problem: { what: 'schema walhook' } })
  expect(JSON.stringify(described)).toContain(
    '0001_outbox could not be applied: relation \\"tokens\\" already exists',
  )
  const { rows } = await outbox.pool.query(`select to_regclass('walhook.events') as events`)
  expect(rows).toEqual([{ events: null }])
})

test('partitions exist from yesterday to a week ahead, and contain the rows of their day', async () => {
  await using at = await openTestOutbox()
  const day = Date.UTC(2031, 4, 6, 23, 59)
  await Promise.all([1, 2, 3].map(() => ensurePartitions(at.outbox, day)))
  await ensurePartitions(at.outbox, day)
  const { rows } = await at.outbox.pool.query(`
    select c.relname as name from pg_class c join pg_inherits i on i.inhrelid = c.oid
    where i.inhparent = 'walhook.events'::regclass and c.relname like 'events_2031%' order by 1`)
  const names = rows.map(({ name }) => name)
  expect(names).toHaveLength(9)
  expect([names[0], names.at(-1)]).toEqual(['events_20310505', 'events_20310513'])
  const place = `insert into walhook.events values ($1::bigint << 20, '0/1', 0, 'user', '1', 'delete', now(), '{}') returning tableoid::regclass::text as place`
  for (const [ms, expected] of [
    [Date.UTC(2031, 4, 6), 'walhook.events_20310506'],
    [Date.UTC(2031, 4, 7) - 1, 'walhook.events_20310506'],
    [Date.UTC(2031, 4, 7), 'walhook.events_20310507'],
  ] as const)
    expect((await at.outbox.pool.query(place, [ms])).rows).toEqual([{ place: expected }])
})

test('partitions that another process creates during the wait are seen', async () => {
  await using at = await openTestOutbox()
  // One connection, which has looked before it waits.
  await using outbox = openOutbox({ url: at.database.url, maxConnections: 1, onError() {} })
  await using other = await connect(at.database.url)
  const day = Date.UTC(2031, 4, 6)
  await other.query(`begin; select pg_advisory_xact_lock(x'77616c68'::int)`)
  const made = ensurePartitions(outbox, day)
  await until(
    async () =>
      (await at.outbox.pool.query(`select from pg_locks where locktype = 'advisory' and not granted`))
        .rowCount,
    { what: 'the other one to wait' },
  )
  // The first that it wants: what it makes itself brings it up to date.
  await other.query(`create table walhook.events_20310505 (like walhook.events including defaults including constraints);
    alter table walhook.events attach partition walhook.events_20310505 for values from (${firstIdAt(day - dayMs)}) to (${firstIdAt(day)});
    commit`)
  await made
  const { rows } = await at.outbox.pool.query(
    `select count(*)::int as n from pg_inherits where inhparent = 'walhook.events'::regclass and inhrelid::regclass::text like '%events_2031%'`,
  )
  expect(rows).toEqual([{ n: 9 }])
})

test('earlier dead letters are moved to the table of ended deliveries, on their day', async () => {
  await using database = await createTestDatabase()
  await using outbox = openOutbox({ url: database.url, maxConnections: 2, onError() {} })
  const files = ['0001_outbox', '0002_capture', '0003_ended_deliveries']
  const [first, second, third] = await Promise.all(
    files.map(file => readFile(new URL(`../../migrations/${file}.sql`, import.meta.url), 'utf8')),
  )
  await outbox.pool.query(`create schema walhook; ${first}; ${second}`)
  await outbox.pool.query(`
    create table walhook.events_20310506 partition of walhook.events
      for values from (${BigInt(Date.UTC(2031, 4, 6)) << 20n}) to (${BigInt(Date.UTC(2031, 4, 7)) << 20n});
    insert into walhook.dead_deliveries (webhook_id, event_id, entity_type, entity_id, attempts)
      values (1, ${BigInt(Date.UTC(2031, 4, 6, 12)) << 20n}, 'user', '7', 10)`)
  await outbox.pool.query(third!)
  const { rows } = await outbox.pool.query(
    'select tableoid::regclass::text as place, webhook_id, entity_id, state, attempts from walhook.ended_deliveries',
  )
  const place = 'walhook.ended_deliveries_20310506'
  expect(rows).toEqual([{ place, webhook_id: 1, entity_id: '7', state: 'dead', attempts: 10 }])
})

/**
 * What an upgrade of the operating system or of ICU can spoil: keys of indexes, and the names of entities anywhere, that
 * are not compared by their bytes. Kysely's own tables are as Kysely makes them: a few names, each found by equality.
 */
const keysNotByBytesStatement = `
select c.oid::regclass::text || '.' || a.attname as key
from pg_index i
join pg_class c on c.oid = i.indrelid
join pg_attribute a on a.attrelid = i.indexrelid and a.attcollation <> 0
where c.relnamespace = 'walhook'::regnamespace and c.relname not in ('migrations', 'migrations_lock')
  and a.attcollation <> 'pg_catalog."C"'::regcollation
union
select c.oid::regclass::text || '.' || a.attname
from pg_attribute a join pg_class c on c.oid = a.attrelid
where c.relnamespace = 'walhook'::regnamespace and c.relkind in ('r', 'p') and a.attname in ('entity_type', 'entity_id')
  and a.attcollation <> 'pg_catalog."C"'::regcollation
order by 1`

test('keys and entity names are compared by bytes, in later partitions too', async () => {
  await using at = await openTestOutbox()
  const { rows } = await at.outbox.pool.query(keysNotByBytesStatement)
  expect(rows).toEqual([])
})

test('rows from before the comparison by bytes are found, and are not rewritten', async () => {
  await using database = await createTestDatabase()
  await using outbox = openOutbox({ url: database.url, maxConnections: 1, onError() {} })
  const { pool } = outbox
  const files = (await readdir(migrations)).filter(file => /^\d/.test(file)).sort()
  const read = (file: string) => readFile(new URL(file, migrations), 'utf8')
  await pool.query('create schema walhook')
  for (const file of files.filter(file => file < '0015')) await pool.query(await read(file))
  const today = Date.UTC(2031, 4, 6)
  await ensurePartitions(outbox, today)
  const ids = ['B', 'a', '～', '😀', 'é', 'a-b']
  for (const [n, id] of ids.entries())
    for (let day = -1; day <= 7; day++) {
      const insert = (table: string, row: Record<string, unknown>) =>
        pool.query(
          `insert into walhook.${table} (${Object.keys(row)}) values (${Object.keys(row).map((_, i) => `$${i + 1}`)})`,
          Object.values(row),
        )
      const eventId = firstIdAt(today + day * dayMs) + BigInt(n)
      const entity = { entity_type: 'user', entity_id: id }
      await insert('events', { ...event, ...entity, id: eventId })
      await insert('deliveries', { ...entity, webhook_id: 1, event_id: eventId })
      await insert('attempts', { ...attempt, ...entity, id: eventId, event_id: eventId })
      const ended = { state: 'dead', attempts: 1 }
      await insert('ended_deliveries', { ...entity, ...ended, webhook_id: 1, event_id: eventId })
      if (day === 0) await insert('lanes', { ...entity, webhook_id: 1 })
    }
  const tables = ['events', 'lanes', 'deliveries', 'attempts', 'ended_deliveries']
  const readAll = async () => {
    const all = tables.map(
      name => `select tableoid::regclass::text as place, t::text as row from walhook.${name} t`,
    )
    return (await pool.query(`select * from (${all.join(' union all ')}) every order by 1, 2`)).rows
  }
  const fileNodes = async () =>
    (
      await pool.query(
        `select oid::regclass::text as name, pg_relation_filenode(oid) as file from pg_class
         where relnamespace = 'walhook'::regnamespace and relkind = 'r' order by 1`,
      )
    ).rows
  const before = [await readAll(), await fileNodes()]
  expect(before[0]).toHaveLength(ids.length * (4 * 9 + 1))

  // A settlement of a process that is still at work takes its second table when the migration waits for it.
  await using busy = await connect(database.url)
  await busy.query('begin; lock table walhook.webhooks in row share mode')
  const migrated = pool.query(await read('0015_byte_order.sql'))
  await until(async () => (await busy.query('select from pg_locks where not granted')).rowCount, {
    what: 'the migration to wait for it',
  })
  for (const table of ['lanes', 'attempts', 'deliveries', 'ended_deliveries'])
    await busy.query(`lock table walhook.${table} in row exclusive mode nowait`)
  await busy.query('commit')
  await migrated
  expect([await readAll(), await fileNodes()]).toEqual(before)
  expect((await pool.query(keysNotByBytesStatement)).rows).toEqual([])
  await pool.query('set enable_seqscan = off')
  for (const [table, rows] of [
    ['events', 9],
    ['deliveries', 9],
    ['lanes', 1],
  ] as const)
    for (const id of ids) {
      const found = `select from walhook.${table} where ${table === 'events' ? '' : "webhook_id = 1 and entity_type = 'user' and "}entity_id = $1`
      expect((await pool.query(found, [id])).rowCount).toBe(rows)
    }
  const { rows } = await pool.query(
    'select entity_id from walhook.lanes order by webhook_id, entity_type, entity_id',
  )
  expect(rows.map(row => row.entity_id)).toEqual(['B', 'a', 'a-b', 'é', '～', '😀'])
})

test("a process that is connected while a migration changes its statements' results fails once, and continues", async () => {
  await using at = await openTestOutbox()
  await using outbox = openOutbox({ url: at.database.url, maxConnections: 1, onError() {} })
  const statement = { name: 'positions', text: 'select slot_name from walhook.positions' }
  const ask = () => transaction(outbox.pool, async client => (await client.query(statement)).rows)
  expect(await ask()).toEqual([{ slot_name: 'test' }])
  await at.outbox.pool.query('alter table walhook.positions alter column slot_name type varchar')
  await expect(ask()).rejects.toMatchObject({ code: '0A000' })
  expect(await ask()).toEqual([{ slot_name: 'test' }])
})

const attempt = {
  webhook_id: 1,
  trigger: 'schedule',
  event_id: 1,
  message_id: 'msg_1_1',
  entity_type: 'user',
  entity_id: '1',
  action_type: 'new',
  number: 1,
  url: 'https://crm.example.com/',
  request_headers: '{}',
  started_at: '2026-01-01',
  duration_ms: 1,
  status: 204,
  outcome: 'delivered',
}
const batch = { event_id: null, entity_type: null, entity_id: null, action_type: null }
const webhook = { name: 'CRM', url: 'https://crm.example.com/', triggers: '{user.new}', secret: 'v1:x' }
const event = {
  id: 1,
  commit_lsn: '0/1',
  index_in_transaction: 0,
  entity_type: 'user',
  entity_id: '1',
  action_type: 'new',
  committed_at: '2026-01-01',
  body: '{}',
}

const record = { actor_kind: 'command line', actor: 'command line', action: 'webhook.changed' }

const impossible: [string, Record<string, unknown>, string][] = [
  ['attempts', { ...attempt, trigger: 'test' }, 'a test with an event'],
  ['attempts', { ...attempt, event_id: null }, 'an attempt without an event'],
  ['attempts', { ...attempt, request_body: '{}' }, 'a body kept twice'],
  ['attempts', { ...attempt, status: 500 }, 'a delivery that was refused'],
  ['attempts', { ...attempt, status: null }, 'a delivery without an answer'],
  ['attempts', { ...attempt, error_class: 'timeout', error_message: 'x' }, 'a delivery with an error'],
  ['attempts', { ...attempt, next_attempt_at: '2026-01-02' }, 'a delivery that is tried again'],
  ['attempts', { ...attempt, outcome: 'refused' }, 'a refusal without a reason'],
  ['attempts', { ...attempt, outcome: 'lost' }, 'an outcome that there is not'],
  ['attempts', { ...attempt, message_id: 'a.b' }, 'a message id with a dot'],
  ['attempts', { ...attempt, number: 0 }, 'an attempt before the first'],
  ['attempts', { ...attempt, event_ids: '{1,2}' }, 'a batch with an event of its own'],
  ['attempts', { ...attempt, event_id: null, event_ids: '{1,2}' }, 'a batch with an entity'],
  ['attempts', { ...attempt, ...batch, event_ids: '{}' }, 'an empty batch'],
  ['attempts', { ...attempt, ...batch, event_ids: '{1,NULL}' }, 'a batch with an event that is null'],
  ['webhooks', { ...webhook, mode: 'newest' }, 'a mode that there is not'],
  ['webhooks', { ...webhook, batch_max_events: 1, batch_max_wait_ms: 0 }, 'batches of one event'],
  ['webhooks', { ...webhook, batch_max_events: 1001, batch_max_wait_ms: 0 }, 'batches too large'],
  ['webhooks', { ...webhook, batch_max_events: 10, batch_max_wait_ms: 60_001 }, 'a wait too long'],
  ['webhooks', { ...webhook, batch_max_events: 10 }, 'batches without a wait'],
  ['webhooks', { ...webhook, triggers: '{NULL}' }, 'a trigger that is null'],
  ['webhooks', { ...webhook, triggers: '{}' }, 'no trigger'],
  ['webhooks', { ...webhook, secret: 'whsec_open' }, 'a secret that is not sealed'],
  ['webhooks', { ...webhook, disabled_at: '2026-01-01' }, 'a disabling without a reason'],
  ['webhooks', { ...webhook, name: '' }, 'a webhook without a name'],
  ['events', { ...event, id: 0 }, 'an event without an id'],
  ['events', { ...event, action_type: 'test' }, 'an event that is a test'],
  ['events', { ...event, index_in_transaction: -1 }, 'an event before its transaction'],
  [
    'deliveries',
    {
      webhook_id: 1,
      entity_type: 'user',
      entity_id: '1',
      event_id: 1,
      share: 1,
      due_at: 'now',
      attempts: -1,
    },
    'attempts below 0',
  ],
  [
    'streams',
    { webhook_id: 1, share: 1, settled_up_to: 2, may_send_up_to: 1 },
    'a place beyond what may be sent',
  ],
  ['skips', { webhook_id: 1, after_id: 2, up_to: 2 }, 'a range without an event'],
  ['skips', { webhook_id: 1, entity_type: 'user', after_id: 1, up_to: 2 }, 'an entity without an id'],
  [
    'ended_deliveries',
    { webhook_id: 1, event_id: 1, entity_type: 'u', entity_id: '1', state: 'dead', attempts: 0 },
    'a death untried',
  ],
  [
    'ended_deliveries',
    { webhook_id: 1, event_id: 1, entity_type: 'u', entity_id: '1', state: 'superseded', attempts: 0 },
    'one superseded by nothing',
  ],
  ['tokens', { name: 'a', hash: '\\x00', role: 'admin' }, 'a token that is not hashed'],
  ['tokens', { name: 'a', hash: `\\x${'00'.repeat(32)}`, role: 'owner' }, 'a role that there is not'],
  ['audit', { ...record, actor_kind: 'somebody' }, 'an actor of no kind'],
  ['audit', { ...record, actor_kind: 'token' }, 'a token without its id'],
  ['audit', { ...record, action: 'changed' }, 'an action on nothing'],
  ['audit', { ...record, changes: '[]' }, 'changes that name no field'],
]

test.each(impossible)('%s refuse %j: %s', async (table, row) => {
  const at = await shared()
  const columns = Object.keys(row)
  await expect(
    at.outbox.pool.query(
      `insert into walhook.${table} (${columns}) values (${columns.map((_, i) => `$${i + 1}`)})`,
      Object.values(row),
    ),
  ).rejects.toMatchObject({ code: '23514' })
})

let opened: ReturnType<typeof openTestOutbox> | undefined
function shared() {
  opened ??= openTestOutbox().then(async at => {
    // The checks come after the choice of the partition.
    for (const table of ['events', 'attempts', 'ended_deliveries'])
      await at.outbox.pool.query(`create table walhook.${table}_rest partition of walhook.${table} default`)
    return at
  })
  return opened
}
