import { readdir, readFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { shareOf } from '../../src/domain/delivery/share.ts'
import { firstIdAt } from '../../src/domain/value/time-id.ts'
import { openOutbox } from '../../src/outbox/database/database.ts'
import { migrate } from '../../src/outbox/database/migrate.ts'
import { ensurePartitions } from '../../src/outbox/days/partitions.ts'
import { connect } from '../support/connect.ts'
import { createTestDatabase } from '../support/database.ts'
import { until } from '../support/wait.ts'

const migrations = new URL('../../migrations/', import.meta.url)

/** An outbox as walhook 0.1 has made it. Its migrations are noted as Kysely notes them. */
async function openOldOutbox() {
  const database = await createTestDatabase()
  const outbox = openOutbox({ url: database.url, maxConnections: 2, onError() {} })
  const files = (await readdir(migrations)).filter(file => /^\d/.test(file) && file < '0033').sort()
  await outbox.pool.query(`create schema walhook;
    create table walhook.migrations (name varchar(255) primary key, timestamp varchar(255) not null);
    create table walhook.migrations_lock (id varchar(255) primary key, is_locked integer not null default 0);
    insert into walhook.migrations_lock values ('migration_lock', 0)`)
  for (const file of files) {
    await outbox.pool.query(await readFile(new URL(file, migrations), 'utf8'))
    await outbox.pool.query('insert into walhook.migrations values ($1, now()::text)', [file.slice(0, -4)])
  }
  await ensurePartitions(outbox, Date.now())
  await outbox.pool.query(`
    insert into walhook.positions (slot_name, system_identifier, commit_lsn, last_event_id)
      values ('walhook', '1', '0/1', ${firstIdAt(Date.now())});
    insert into walhook.webhooks (name, url, triggers, secret)
      select 'CRM ' || n, 'https://crm.example.com/', '{user.new}', 'v1:x' from generate_series(1, 3) n`)
  return {
    database,
    outbox,
    async [Symbol.asyncDispose]() {
      await outbox[Symbol.asyncDispose]()
      await database.drop()
    },
  }
}

/**
 * What waits at three webhooks: 1 has 60,000 entities with one event each, of which some are retrying and some are leased;
 * 2 has 3,000 entities with ten each; 3 has 10,000 in 1,000 batches.
 */
async function fillQueue({ pool }: Awaited<ReturnType<typeof openOldOutbox>>['outbox']) {
  await pool.query(`
    insert into walhook.deliveries (webhook_id, entity_type, entity_id, event_id, attempts)
      select 1, 'user', n, ${firstIdAt(Date.now())} - 1000000 + n, (n % 3 = 0)::int from generate_series(1, 60000) n;
    insert into walhook.lanes (webhook_id, entity_type, entity_id, due_at, lease_id, leased_until)
      select 1, 'user', n, case when n % 3 = 0 then now() + interval '1 hour' else now() - interval '1 s' end,
             case when n % 100 = 1 then gen_random_uuid() end,
             case when n % 100 = 1 then now() + interval '20 s' else '-infinity' end
      from generate_series(1, 60000) n;
    insert into walhook.deliveries (webhook_id, entity_type, entity_id, event_id)
      select 2, 'company', 'é' || n % 3000, ${firstIdAt(Date.now())} - 900000 + n from generate_series(0, 29999) n;
    insert into walhook.lanes (webhook_id, entity_type, entity_id, due_at)
      select 2, 'company', 'é' || n, now() + interval '5 min' from generate_series(0, 2999) n;
    insert into walhook.deliveries (webhook_id, entity_type, entity_id, event_id, batch_id, attempts)
      select 3, 'user', n, ${firstIdAt(Date.now())} - 800000 + n, 1000 + n / 10, 2 from generate_series(0, 9999) n;
    insert into walhook.lanes (webhook_id, entity_type, entity_id, due_at)
      select 3, 'user', n, now() + interval '7 min' from generate_series(0, 9999) n;
    insert into walhook.ended_deliveries (webhook_id, event_id, entity_type, entity_id, state, superseded_by, attempts)
      values (1, ${firstIdAt(Date.now())}, 'user', '7', 'superseded', 3, 0);
    analyze walhook.deliveries, walhook.lanes`)
}

test('pending, retrying, leased and batched deliveries of 0.1 are set aside unchanged', async () => {
  await using at = await openOldOutbox()
  const { pool } = at.outbox
  await fillQueue(at.outbox)
  const { rows: was } = await pool.query(`
    select d.webhook_id, d.entity_id, d.event_id, d.attempts, d.batch_id, greatest(l.due_at, l.leased_until) as due_at
    from walhook.deliveries d join walhook.lanes l using (webhook_id, entity_type, entity_id) order by 1, 3`)
  expect(await migrate(at.outbox)).toMatchObject({ ok: true })
  const { rows: is } = await pool.query('select * from walhook.deliveries order by webhook_id, event_id')
  expect(is.length).toBe(100_000)

  const oldest = new Set<string>()
  const wrong = is.filter((row, i) => {
    const before = was[i]!
    const entity = `${row.webhook_id} ${row.entity_id}`
    const isFirst = !oldest.has(entity)
    oldest.add(entity)
    const dueAt = isFirst && row.batch_id === null ? before.due_at : Number.POSITIVE_INFINITY
    return (
      row.event_id !== before.event_id ||
      row.attempts !== before.attempts ||
      row.batch_id !== before.batch_id ||
      row.taken_by !== null ||
      row.share !== shareOf(row.entity_type, row.entity_id) ||
      Number(row.due_at) !== Number(dueAt)
    )
  })
  expect(wrong).toEqual([])
  expect(new Set(is.map(({ share }) => share)).size).toBe(12)

  const { rows: batches } = await pool.query(`
    select count(*)::int as batches, min(due_at) > now() + interval '6 min' as in_time, count(taken_by)::int as taken,
           bool_and(share = (select share from walhook.deliveries d where d.webhook_id = 3 and batch_id = b.id order by event_id limit 1)) as in_share
    from walhook.batches b where webhook_id = 3`)
  expect(batches).toEqual([{ batches: 1_000, in_time: true, taken: 0, in_share: true }])
  const { rows: shares } = await pool.query(`
    select count(*)::int as shares, bool_and(settled_up_to = (select last_event_id from walhook.positions)) as at_head from walhook.shares`)
  expect(shares).toEqual([{ shares: 12, at_head: true }])
  const { rows: states } = await pool.query('select version from walhook.webhook_states')
  expect(states).toEqual([{ version: 0 }, { version: 0 }, { version: 0 }])
})

/** What a process of 0.1 does, shortened: each transaction names the lanes. Prepared before the upgrade, as it would be. */
const ofBefore = {
  append: `
    with stored as (
      insert into walhook.events (id, commit_lsn, index_in_transaction, entity_type, entity_id, action_type, committed_at, body)
      select last_event_id + 1, '0/2', 0, 'user', '1', 'new', now(), '{}' from walhook.positions returning id
    ), moved as (
      update walhook.positions set last_event_id = last_event_id + 1
    ), queued as (
      insert into walhook.deliveries (webhook_id, entity_type, entity_id, event_id) select 1, 'user', '1', id from stored
    )
    insert into walhook.lanes (webhook_id, entity_type, entity_id) values (1, 'user', '1')
    on conflict (webhook_id, entity_type, entity_id) do nothing`,
  settle: `
    with lane as (select from walhook.lanes where webhook_id = 1 and entity_type = 'user' and entity_id = '1' for update)
    delete from walhook.deliveries where webhook_id = 1 and entity_type = 'user' and entity_id = '1' and exists (select from lane)`,
  retention: `
    insert into walhook.retention_clock as c (at) values (now()) on conflict (is_only) do update set at = now()`,
}

test.each(Object.keys(ofBefore))(
  'after the upgrade, a process of 0.1 fails and changes nothing: %s',
  async which => {
    await using at = await openOldOutbox()
    await using old = await connect(at.database.url)
    const statement = { name: which, text: ofBefore[which as keyof typeof ofBefore] }
    // It has run before: its plan is made.
    await old.query(statement)
    if (which === 'settle') await old.query(ofBefore.append)
    expect(await migrate(at.outbox)).toMatchObject({ ok: true })
    const all = async () =>
      (
        await at.outbox.pool.query(`
          select 'event' as what, e::text as row from walhook.events e
          union all select 'position', p::text from walhook.positions p
          union all select 'row', d::text from walhook.deliveries d
          union all select 'clock', c::text from walhook.retention_clock c`)
      ).rows
    const before = await all()
    await expect(old.query(statement)).rejects.toMatchObject({
      code: which === 'retention' ? '42703' : '42P01',
    })
    expect(await all()).toEqual(before)
  },
)

test('if two slots filled an outbox, capture continues with the one stored last', async () => {
  await using at = await openOldOutbox()
  await at.outbox.pool.query(`
    insert into walhook.positions (slot_name, system_identifier, commit_lsn, last_event_id, updated_at)
    values ('another', '1', '0/9', 7, now() - interval '1 day')`)
  expect(await migrate(at.outbox)).toMatchObject({ ok: true })
  const { rows } = await at.outbox.pool.query('select slot_name from walhook.positions')
  expect(rows).toEqual([{ slot_name: 'walhook' }])
})

test('a deadlock with a running process only repeats the upgrade', async () => {
  await using at = await openOldOutbox()
  await using old = await connect(at.database.url)
  await using watcher = await connect(at.database.url)
  await old.query(`set deadlock_timeout = '10s'; begin; lock table walhook.deliveries in row exclusive mode`)
  const migrated = migrate(at.outbox)
  const waits = `select from pg_locks where relation = 'walhook.deliveries'::regclass and not granted`
  await until(async () => (await watcher.query(waits)).rowCount === 1, { what: 'the upgrade to wait for it' })
  // It is the upgrade that Postgres ends, which has waited for longer.
  await old.query('lock table walhook.lanes in row exclusive mode').catch(() => {})
  await old.query('rollback')
  expect(await migrated).toMatchObject({ ok: true })
})
