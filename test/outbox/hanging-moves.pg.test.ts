import { expect, test } from 'vitest'
import { parseSealKey, seal } from '../../src/domain/webhook/seal.ts'
import { createCells } from '../../src/outbox/cells/cells.ts'
import { readCellPosition, readToCopy, storeCopied } from '../../src/outbox/cells/copy-log.ts'
import { moveWebhook, type Step } from '../../src/outbox/cells/move.ts'
import { prepareCell } from '../../src/outbox/cells/prepare.ts'
import { insertCell, listMoves, place, urlPurpose } from '../../src/outbox/cells/registry.ts'
import { settleMoves } from '../../src/outbox/cells/settle-move.ts'
import { type Outbox, openOutbox } from '../../src/outbox/database/database.ts'
import { createWatch } from '../../src/outbox/database/watched-client.ts'
import { settleHome } from '../../src/outbox/source/home.ts'
import { createTestDatabase } from '../support/database.ts'
import { openTestOutbox } from '../support/open-outbox.ts'
import { openTestLink, type TestLink } from '../support/test-link.ts'
import { until } from '../support/wait.ts'

const sealKey = parseSealKey(Buffer.alloc(32, 1).toString('base64'))!

/** Main, and cells in databases of their own, each behind a link that can stall. */
async function openFar(...names: string[]) {
  await using opened = new AsyncDisposableStack()
  const at = opened.use(await openTestOutbox())
  await settleHome(at.outbox.pool, { isSource: false })
  const links: TestLink[] = []
  for (const name of names) {
    const database = await createTestDatabase()
    opened.defer(() => database.drop())
    links.push(opened.use(await openTestLink(database.url)))
    const url = seal(sealKey, urlPurpose(name), links.at(-1)!.url, Buffer.alloc(12, 1))
    const registered = await insertCell(at.outbox.pool, { name, schema: 'walhook', url })
    await using outbox = openOutbox({ url: database.url, maxConnections: 2, onError() {} })
    const prepared = await prepareCell(at.outbox, outbox, registered, {
      placing: 'plain',
      nowMs: Date.now(),
    })
    if (!prepared.ok) throw new Error(JSON.stringify(prepared.problems))
  }
  const own: Outbox[] = []
  const cells = createCells({
    main: at.outbox,
    sealKey,
    open({ url }) {
      // Nobody else ends what hangs.
      const watch = createWatch({ url, askAfterMs: 3_600_000 })
      own.push(openOutbox({ url, watch, maxConnections: 6, onError() {} }))
      return own.at(-1)!
    },
  })
  opened.defer(async () => {
    for (const link of links) link.cut()
    for (const outbox of own) await outbox[Symbol.asyncDispose]()
  })
  await cells.refresh()
  const resources = opened.move()
  return {
    ...{ at, cells, links },
    async copy() {
      for (const { outbox } of cells.all().slice(1)) {
        const position = await readCellPosition(outbox)
        const page = await readToCopy(at.outbox, position, { limit: 1_000, maxBytes: 1_000_000 })
        await storeCopied(outbox, position, page)
      }
    },
    move: async (webhookId: number, to: string, onStep: (step: Step) => void | Promise<void> = () => {}) =>
      await moveWebhook(cells, { webhookId, to: await cells.named(to), holdMs: 0, onStep }),
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  }
}

const rowsIn = async ({ pool }: Outbox, text: string) => (await pool.query(text)).rows
const hasEnded = async ({ at, cells }: Awaited<ReturnType<typeof openFar>>) => {
  await settleMoves(cells)
  return (await listMoves(at.outbox)).length === 0
}
const heldIn = (outbox: Outbox) => rowsIn(outbox, 'select moving_to from walhook.webhooks')

test('if a cell hangs during a move to it, main continues, and gets the webhook back before the cell responds', async () => {
  await using far = await openFar('west')
  const { at, cells, links } = far
  const id = await at.webhook(['user.new'])
  await at.append('user 1 new')
  await far.copy()
  const moved = far.move(id, 'west', step => void (step === 'copied' && links[0]!.stall()))
  await expect(moved).rejects.toThrow('the cell west does not answer')
  expect(await heldIn(at.outbox)).toEqual([{ moving_to: null }])
  // What main had locked for it is free.
  await at.append('user 2 new')
  const holders = await rowsIn(
    at.outbox,
    `select 1 from pg_locks where locktype = 'advisory' and mode = 'ExclusiveLock' and database = (select oid from pg_database where datname = current_database())`,
  )
  expect(holders).toEqual([])
  expect(await settleMoves(cells)).toMatchObject({ settled: [], waiting: [{ webhookId: id }] })

  links[0]!.heal()
  await until(() => hasEnded(far), { what: 'the move to end' })
  expect((await cells.of(id)).name).toBe('main')
  expect(await heldIn(cells.all()[1]!.outbox)).toEqual([])
  await far.copy()
  expect(await far.move(id, 'west')).toEqual({ ok: true, isMoved: true })
})

test('if a cell hangs during a move to main, appends to main continue, and the webhook stays in the cell', async () => {
  await using far = await openFar('west')
  const { at, cells, links } = far
  const id = await at.webhook(['user.new'])
  await at.append('user 1 new')
  await far.copy()
  expect(await far.move(id, 'west')).toEqual({ ok: true, isMoved: true })
  const west = cells.all()[1]!.outbox
  // The move waits for this table, with main's position locked.
  const blocker = await west.pool.connect()
  await blocker.query('begin; lock table walhook.deliveries in exclusive mode')
  const isLocked = `select 1 from pg_locks l join pg_class c on c.oid = l.relation where c.relname = 'positions' and l.mode = 'RowShareLock' and l.granted
    and l.database = (select oid from pg_database where datname = current_database())`
  const moved = far.move(id, 'main').catch((error: unknown) => error)
  await until(async () => (await rowsIn(at.outbox, isLocked)).length > 0, { what: 'main to be locked' })
  links[0]!.stall()
  await at.append('user 2 new')
  links[0]!.heal()
  await blocker.query('rollback')
  blocker.release()
  expect(await moved).toBeInstanceOf(Error)
  await until(() => hasEnded(far), { what: 'the move to end' })
  expect((await cells.of(id)).name).toBe('west')
  expect(await heldIn(west)).toEqual([{ moving_to: null }])
  expect(await heldIn(at.outbox)).toEqual([])
})

test('ending a move waits for a commit of the dead mover that may still arrive', async () => {
  await using far = await openFar('west')
  const { at, cells } = far
  const id = await at.webhook(['user.new'])
  await at.append('user 1 new')
  await far.copy()
  await place(at.outbox.pool, { webhookId: id, tenant: null, cell: 'main', movingTo: 'west' })
  await at.outbox.pool.query(`update walhook.webhooks set moving_to = 'west'`)
  const west = cells.all()[1]!.outbox
  const mover = await west.pool.connect()
  await mover.query('begin; select 1 from walhook.positions for update')
  const [row] = await rowsIn(at.outbox, 'select to_jsonb(w) as json from walhook.webhooks w')
  await mover.query(
    `insert into walhook.webhooks overriding system value
     select r.* from jsonb_populate_record(null::walhook.webhooks, $1::jsonb || '{"moving_to": null}') r`,
    [row.json],
  )
  const settled = settleMoves(cells)
  const waiting = `select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`
  await until(async () => (await rowsIn(west, waiting)).length === 1, { what: 'the settlement to wait' })
  await mover.query('commit')
  mover.release()
  expect(await settled).toEqual({ settled: [id], waiting: [] })
  expect((await cells.of(id)).name).toBe('west')
  expect([await heldIn(west), await heldIn(at.outbox)]).toEqual([[{ moving_to: null }], []])
})

test('moves of other cells are ended while one hangs', async () => {
  await using far = await openFar('east', 'west')
  const { at, cells, links } = far
  const ids = [await at.webhook(['user.new']), await at.webhook(['user.new'])]
  for (const [i, cell] of ['east', 'west'].entries())
    await place(at.outbox.pool, { webhookId: ids[i]!, tenant: null, cell: 'main', movingTo: cell })
  await at.outbox.pool.query(`update walhook.webhooks set moving_to = 'any'`)
  links[0]!.stall()
  expect(await settleMoves(cells)).toMatchObject({
    settled: [ids[1]],
    waiting: [{ webhookId: ids[0], why: expect.stringContaining('east') }],
  })
  expect((await listMoves(at.outbox)).map(({ webhookId }) => webhookId)).toEqual([ids[0]])
  links[0]!.heal()
})
