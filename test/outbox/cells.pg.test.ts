import { afterAll, expect, test } from 'vitest'
import { overCells, reachableCell } from '../../src/control/kit/cells.ts'
import { parseSealKey, seal } from '../../src/domain/webhook/seal.ts'
import { createCells } from '../../src/outbox/cells/cells.ts'
import { citusLines } from '../../src/outbox/cells/citus.ts'
import { prepareCell } from '../../src/outbox/cells/prepare.ts'
import { insertCell, place, urlPurpose } from '../../src/outbox/cells/registry.ts'
import { type Outbox, openOutbox } from '../../src/outbox/database/database.ts'
import { migrate } from '../../src/outbox/database/migrate.ts'
import { settleHome } from '../../src/outbox/source/home.ts'
import { createTestDatabase } from '../support/database.ts'
import { openTestOutbox } from '../support/open-outbox.ts'

const at = await openTestOutbox()
await settleHome(at.outbox.pool, { isSource: false })
const opened: Outbox[] = []
afterAll(async () => {
  for (const outbox of opened) await outbox[Symbol.asyncDispose]()
  await at[Symbol.asyncDispose]()
})
const sealKey = parseSealKey(Buffer.alloc(32, 1).toString('base64'))!
function open({ url, schema }: { url: string; schema: string }) {
  const outbox = openOutbox({ url, schema, maxConnections: 2, onError() {} })
  opened.push(outbox)
  return outbox
}

const sealed = (name: string, url: string) => seal(sealKey, urlPurpose(name), url, Buffer.alloc(12, 1))
function openCells() {
  const own: Outbox[] = []
  const cells = createCells({
    main: at.outbox,
    sealKey,
    open({ url, schema }) {
      const outbox = openOutbox({ url, schema, maxConnections: 2, onError() {} })
      own.push(outbox)
      return outbox
    },
  })
  const close = async () => {
    for (const outbox of own) await outbox[Symbol.asyncDispose]()
  }
  return Object.assign(cells, { [Symbol.asyncDispose]: close })
}

test('a schema with any name gets the same tables as the main one, and refers to nothing in it', async () => {
  const outbox = open({ url: at.database.url, schema: 'walhook_a' })
  expect(await migrate(outbox)).toMatchObject({ ok: true })
  const { rows } = await outbox.pool.query(`
    select n.nspname as schema, array_agg(c.relkind::text || ' ' || c.relname::text order by c.relname, c.relkind) as names
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname in ('wal' || 'hook', 'walhook_a') and c.relname !~ '_[0-9]{8}' group by 1 order by 1`)
  const [main, cell] = rows
  expect(cell.names).toEqual(main.names)
  const { rows: bodies } = await outbox.pool.query(
    `select proname from pg_proc p join pg_namespace n on n.oid = p.pronamespace
     where n.nspname = 'walhook_a' and (prosrc ~ $1 or prosqlbody::text ~ $1)`,
    ['walhook(\\.|_outbox)'],
  )
  expect(bodies).toEqual([])
})

test('cells in other databases are found by their webhooks, and an unreachable one has a reason', async () => {
  const other = await createTestDatabase({ hasOutbox: true })
  await using cells = openCells()
  await insertCell(at.outbox.pool, { name: 'b', schema: 'walhook', url: sealed('b', other.url) })
  const gone = other.url.replace(/\/[^/]*$/, '/nowhere')
  await insertCell(at.outbox.pool, { name: 'gone', schema: 'walhook', url: sealed('gone', gone) })
  await insertCell(at.outbox.pool, { name: 'lost', schema: 'walhook', url: sealed('another', other.url) })
  await cells.refresh()
  const b = cells.all()[1]!
  expect(b.name).toBe('b')
  await cells.place({ id: 7, tenant: 'acme' }, b)
  expect((await cells.of(7)).name).toBe('b')
  expect((await cells.of(8)).name).toBe('main')
  // To another tenant neither the cell nor the webhook is there.
  const [acme, bravo] = [await cells.forTenant('acme'), await cells.forTenant('bravo')]
  expect([(await acme.of(7)).name, (await bravo.of(7)).name]).toEqual(['b', 'main'])
  expect([acme, bravo].map(one => one.all().map(({ name }) => name))).toEqual([['main', 'b'], ['main']])
  const states = await cells.states()
  expect(states.map(({ name, isAway, behind }) => [name, isAway, behind])).toEqual([
    ['main', false, 0],
    ['b', false, 0],
    ['gone', true, null],
    ['lost', true, null],
  ])
  expect(states[2]!.why).toContain('nowhere')
  expect(states[3]!.why).toContain('the URL of the cell lost')
  // One whose URL can't be read is as any that does not answer: lists name it, and a call for its webhook is refused.
  expect((await overCells({ cells }, async () => 1)).away).toEqual(['gone', 'lost'])
  await place(at.outbox.pool, { webhookId: 9, tenant: null, cell: 'lost', movingTo: null })
  expect(await reachableCell({ cells }, 9)).toMatchObject({ ok: false, kind: 'unavailable' })
  await at.webhook(['user.new'])
  await at.webhook(['user.new'])
  expect((await cells.emptiest(1))[0]!.name).toBe('b')
  await place(at.outbox.pool, { webhookId: 7, tenant: null, cell: 'main', movingTo: null })
  expect((await cells.of(7)).name).toBe('main')
  await other.drop()
})

const nowMs = Date.now()
const prepare = (cell: Outbox, number: number, placing: 'plain' | 'citus' = 'plain', main = at.outbox) =>
  prepareCell(main, cell, { number, name: `c${number}` }, { placing, nowMs })

test('a cell is prepared once, has its own id range, and cannot be an existing outbox', async () => {
  await at.append('user 1 new')
  const cell = open({ url: at.database.url, schema: 'walhook_c' })
  expect(await prepare(cell, 3)).toMatchObject({ ok: true })
  expect(await prepare(cell, 3)).toEqual({ ok: true, applied: [] })
  const { rows } = await cell.pool.query(`
    select (select min(settled_up_to) from walhook.shares) as begins, (select last_event_id from walhook.positions) as copied,
           nextval(pg_get_serial_sequence('walhook.incidents', 'id')) as id`)
  const [head] = (await at.outbox.pool.query('select last_event_id as id from walhook.positions')).rows
  expect(rows).toEqual([{ begins: head.id, copied: 0n, id: 60_000_000n }])

  await using another = await openTestOutbox()
  await settleHome(another.outbox.pool, { isSource: false })
  const foundOf = async (outbox: Outbox, main: Outbox) => {
    const prepared = await prepare(outbox, 4, 'plain', main)
    return prepared.ok ? null : prepared.problems[0]!.found
  }
  expect(await foundOf(cell, another.outbox)).toBe('the cell of another outbox')
  expect(await foundOf(at.outbox, at.outbox)).toBe('the main outbox itself')
  expect(await foundOf(another.outbox, at.outbox)).toBe('an outbox that captures itself')
})

test('Citus places the schema of a cell after its migrations; each missing requirement has a fix', async () => {
  const database = await createTestDatabase({ hasOutbox: false })
  const cell = open({ url: database.url, schema: 'walhook_d' })
  const prepared = await prepare(cell, 5, 'citus')
  expect(prepared).toMatchObject({
    ok: false,
    problems: [{ code: 'citus', mend: expect.stringContaining('create extension citus') }],
  })
  await cell.pool.query(`
    create table public.placed (schema text, tables bigint);
    create function public.citus_schema_distribute(schema regnamespace) returns void language sql as $$
      insert into public.placed select $1::text, count(*) from pg_class where relnamespace = $1 and relkind in ('r', 'p') $$`)
  expect((await citusLines(cell)).map(({ level, found }) => [level, found])).toEqual([
    ['ok', 'version unknown can place schemas'],
    ['error', 'unknown to the server: citus is not loaded'],
    ['error', 'unknown to the server: citus is not loaded'],
  ])
  const set = (on: string, triggers: string) =>
    cell.pool.query(
      `do $$ begin execute format('alter database %I set citus.enable_schema_based_sharding = ${on}', current_database());
                   execute format('alter database %I set citus.enable_unsafe_triggers = ${triggers}', current_database()); end $$`,
    )
  await set('on', 'off')
  const first = open({ url: database.url, schema: 'walhook_d' })
  expect(await prepare(first, 5, 'citus')).toMatchObject({
    problems: [
      { mend: expect.stringContaining('set citus.enable_schema_based_sharding = off') },
      { mend: expect.stringContaining('set citus.enable_unsafe_triggers = on') },
    ],
  })
  await set('off', 'on')
  const second = open({ url: database.url, schema: 'walhook_d' })
  expect(await prepare(second, 5, 'citus')).toEqual({ ok: true, applied: [] })
  const { rows } = await second.pool.query('select schema, tables > 30 as is_whole from public.placed')
  expect(rows).toEqual([{ schema: 'walhook_d', is_whole: true }])
  // A notification of the node where the schema is would reach nobody.
  const { rows: notifying } = await second.pool.query(
    `select proname from pg_proc where pronamespace = 'walhook_d'::regnamespace and prosrc like '%pg_notify%'`,
  )
  expect(notifying).toEqual([])
})
