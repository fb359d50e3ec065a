import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { exportWebhooks } from '../../src/commands/client/export.ts'
import { lockApplies } from '../../src/outbox/records/webhooks.ts'
import { openTestApi } from '../support/open-api.ts'
import { waiters } from '../support/open-outbox.ts'
import { addTwoCells, type TwoCells } from '../support/two-cells.ts'
import { until } from '../support/wait.ts'

let at: Awaited<ReturnType<typeof openTestApi>>
let cells: TwoCells

beforeAll(async () => {
  at = await openTestApi()
  cells = await addTwoCells(at)
})
afterAll(async () => {
  await cells[Symbol.asyncDispose]()
  await at[Symbol.asyncDispose]()
})

const names = ['One', 'Two', 'Three']
const apply = (mode: 'every' | 'latest', more: object = {}) =>
  at.call('POST', '/api/apply', {
    source: 'webhooks.yaml',
    webhooks: Object.fromEntries(
      names.map(name => [name, { url: 'https://crm.example.com/', triggers: ['user.new'], mode }]),
    ),
    ...more,
  })
/** The modes in main, near and far. */
const modes = () =>
  Promise.all(
    at.control.cells.all().map(async ({ outbox }) => {
      const { rows } = await outbox.pool.query('select name, mode from walhook.webhooks order by name')
      return rows.map(({ name, mode }) => `${name} ${mode}`).join(', ')
    }),
  )
const actionsOf = (json: { webhooks: { action: string }[] }) => json.webhooks.map(({ action }) => action)

test('two simultaneous applies of a new file create each webhook once, spread over the cells', async () => {
  const [a, b] = await Promise.all([apply('every'), apply('every')])
  const statuses = [a!.status, b!.status].sort()
  expect(statuses[0]).toBe(200)
  expect([200, 409]).toContain(statuses[1])
  expect(await modes()).toEqual([expect.any(String), expect.any(String), expect.any(String)])
  expect((await modes()).join(', ').split(', ').sort()).toEqual(['One every', 'Three every', 'Two every'])
  expect((await modes()).every(list => !list.includes(','))).toBe(true)
  expect(actionsOf((await apply('every')).json)).toEqual(['none', 'none', 'none'])
})

test('a file for three cells is applied as a whole, and audited once', async () => {
  const done = await apply('latest')
  expect(actionsOf(done.json)).toEqual(['change', 'change', 'change'])
  expect((await modes()).every(list => list.endsWith('latest'))).toBe(true)
  const audit = await at.call('GET', '/api/audit?limit=100')
  const records = audit.json.data.filter(({ action }: { action: string }) => action === 'webhooks.applied')
  expect(records[0].changes).toMatchObject({ changed: { to: 3 } })
})

test('an apply that one cell refuses changes no cell', async () => {
  const before = await modes()
  const blocker = await at.outbox.pool.connect()
  await blocker.query('begin')
  await lockApplies(blocker)
  const applying = apply('every')
  await until(async () => (await waiters(at)) > 0, { what: 'the application to wait' })
  const { json } = await at.call('GET', '/api/webhooks')
  const far = await Promise.all(
    json.data.map(async ({ id }: { id: number }) =>
      (await at.control.cells.of(id)).name === 'far' ? id : [],
    ),
  )
  await cells.far.outbox.pool.query('update walhook.webhooks set version = version + 1 where id = $1', [
    far.flat()[0],
  ])
  await blocker.query('rollback')
  blocker.release()
  const { status, json: refused } = await applying
  expect({ status, code: refused.code }).toEqual({ status: 409, code: 'apply.changed_meanwhile' })
  expect(await modes()).toEqual(before)
})

test('after a crash between the commits of two cells, the next apply does the rest', async () => {
  cells.link.cutAnswerTo('commit\0')
  expect((await apply('every')).status).toBeGreaterThanOrEqual(500)
  const [main, near, far] = await modes()
  expect(main).toMatch(/latest$/)
  expect(near).toMatch(/latest$/)
  expect(far).toMatch(/every$/)
  const again = await apply('every')
  expect(actionsOf(again.json).sort()).toEqual(['change', 'change', 'none'])
  expect((await modes()).every(list => list.endsWith('every'))).toBe(true)
})

test('webhooks no longer in the file are deleted in every cell, with their placement', async () => {
  const done = await apply('every', { webhooks: {}, prune: true })
  expect(actionsOf(done.json)).toEqual(['delete', 'delete', 'delete'])
  expect(await modes()).toEqual(['', '', ''])
  expect(await at.count('placements')).toBe(0)
})

test('walhook export writes no file that lacks the webhooks of a cell', async () => {
  const server = createServer((_, response) => {
    response.end(JSON.stringify({ data: [], next_cursor: null, cells_away: ['far'] }))
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  vi.stubEnv('WALHOOK_URL', `http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  vi.stubEnv('WALHOOK_TOKEN', 'whk_test')
  const said = vi.spyOn(process.stderr, 'write').mockReturnValue(true)
  const written = vi.spyOn(process.stdout, 'write').mockReturnValue(true)
  try {
    expect(await exportWebhooks.run([], new AbortController().signal)).toBe(1)
    expect(said.mock.calls.join('')).toContain('cell far')
    expect(written).not.toHaveBeenCalled()
  } finally {
    vi.restoreAllMocks()
    vi.unstubAllEnvs()
    server.close()
  }
})
