import { afterAll, expect, test } from 'vitest'
import { parseSealKey, seal } from '../../src/domain/webhook/seal.ts'
import { createCells } from '../../src/outbox/cells/cells.ts'
import { addCell, place, urlPurpose } from '../../src/outbox/cells/registry.ts'
import { type Outbox, openOutbox } from '../../src/outbox/database/database.ts'
import { migrate } from '../../src/outbox/database/migrate.ts'
import { createTestDatabase } from '../support/database.ts'
import { openTestOutbox } from '../support/open-outbox.ts'

const at = await openTestOutbox()
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

test('a schema of any name gets the same tables as the main one, and nothing of the main one', async () => {
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

test('a cell in another database is found by its webhooks, one that is away says why, and neither hides main', async () => {
  const other = await createTestDatabase({ hasOutbox: true })
  await using cells = openCells()
  await addCell(at.outbox, { name: 'b', schema: 'walhook', url: sealed('b', other.url) })
  const gone = other.url.replace(/\/[^/]*$/, '/nowhere')
  await addCell(at.outbox, { name: 'gone', schema: 'walhook', url: sealed('gone', gone) })
  await addCell(at.outbox, { name: 'lost', schema: 'walhook', url: sealed('another', other.url) })
  await cells.refresh()
  const b = cells.all()[1]!
  expect(b.name).toBe('b')
  await cells.place(7, b)
  expect((await cells.of(7)).name).toBe('b')
  expect((await cells.of(8)).name).toBe('main')
  const states = await cells.states()
  expect(states.map(({ name, isAway, behind }) => [name, isAway, behind])).toEqual([
    ['main', false, 0],
    ['b', false, 0],
    ['gone', true, null],
    ['lost', true, null],
  ])
  expect(states[2]!.why).toContain('nowhere')
  expect(states[3]!.why).toContain('the URL of the cell lost')
  await at.webhook(['user.new'])
  await at.webhook(['user.new'])
  expect((await cells.emptiest()).name).toBe('b')
  await place(at.outbox.pool, { webhookId: 7, cell: 'main', movingTo: null })
  expect((await cells.of(7)).name).toBe('main')
  await other.drop()
})
