import { afterAll, beforeAll, expect, test } from 'vitest'
import { routes } from '../../src/api/routes.ts'
import { cellsHealth } from '../../src/readiness.ts'
import { openTestPages, ours } from '../support/open-pages.ts'
import { statementsOf } from '../support/statements-sent.ts'
import { addTwoCells, copyLog, type TwoCells } from '../support/two-cells.ts'
import { until } from '../support/wait.ts'

let at: Awaited<ReturnType<typeof openTestPages>>
let cells: TwoCells
/** In main, near and far. */
let ids: [number, number, number]
let events: bigint[]

const create = async (name: string, more: object = {}) => {
  const fields = { name, url: 'https://crm.example.com/', triggers: ['user.new', 'user.update'], ...more }
  return await at.call('POST', '/api/webhooks', fields)
}

// From here on the database of the cell far is silent: no test would end that waited for it.
beforeAll(async () => {
  at = await openTestPages({ hasTenants: true })
  const main = (await create('One', { tenant: 'acme' })).json.id
  cells = await addTwoCells(at)
  ids = [
    main,
    (await create('Two', { tenant: 'acme' })).json.id,
    (await create('Three', { tenant: 'bravo' })).json.id,
  ]
  events = await at.append('user 7 new acme', 'user 8 new bravo')
  for (const cell of [cells.near, cells.far]) await copyLog(at, cell)
  expect((await at.call('GET', `/api/webhooks/${ids[2]}`)).status).toBe(200)
  cells.link.stall()
})
afterAll(async () => {
  await cells[Symbol.asyncDispose]()
  await at[Symbol.asyncDispose]()
})

const ofWebhook = routes.filter(({ path }) => path.startsWith('/api/webhooks/{id}'))
const pathOf = (path: string, id: number) => path.replace('{id}', String(id)).replaceAll(/\{\w+\}/g, '1')

test.each(ofWebhook.map(({ method, path }) => ({ method, path })))(
  '$method $path for a webhook in an unreachable cell names the cell',
  async ({ method, path }) => {
    const { status, json, headers } = await at.call(method.toUpperCase(), pathOf(path, ids[2]))
    expect({ status, code: json.code }).toEqual({ status: 503, code: 'cell.away' })
    expect(json.detail).toContain('The cell far')
    expect(headers.get('retry-after')).toBe('10')
  },
)

test('webhooks of other cells can be read and changed', async () => {
  for (const id of ids.slice(0, 2)) {
    expect((await at.call('GET', `/api/webhooks/${id}`)).status).toBe(200)
    expect((await at.call('PATCH', `/api/webhooks/${id}`, { mode: 'latest' })).status).toBe(200)
    expect((await at.call('GET', `/api/webhooks/${id}/log`)).status).toBe(200)
  }
})

test.each(['/api/webhooks', '/api/audit', '/api/alerts', '/api/events', '/api/events?state=pending'])(
  '%s shows the other cells, and names the unreachable one',
  async path => {
    const { status, json } = await at.call('GET', path)
    expect(status).toBe(200)
    expect(json.cells_away).toEqual(['far'])
    if (path === '/api/webhooks')
      expect(json.data.map(({ id }: { id: number }) => id)).toEqual(ids.slice(0, 2))
  },
)

test('an event is explained for reachable webhooks; for others the cell is named as unreachable', async () => {
  const { json } = await at.call('GET', `/api/events/${events[0]}`)
  expect(json.cells_away).toEqual(['far'])
  expect(json.deliveries.map(({ webhook_id }: { webhook_id: number }) => webhook_id)).toEqual(ids.slice(0, 2))
  expect((await at.call('GET', `/api/events/${events[0]}?webhook_id=${ids[2]}`)).json.code).toBe('cell.away')
})

test('status and readiness name the unreachable cell, and the process stays ready', async () => {
  const { json } = await at.call('GET', '/api/status')
  expect(json.cells.map(({ name, state }: { name: string; state: string }) => `${name} ${state}`)).toEqual([
    'main ok',
    'near ok',
    'far away',
  ])
  expect(json.cells[2]).toMatchObject({ webhooks: null, events_behind: null, reason: expect.any(String) })
  at.state.health = {
    database: { ok: true, status: 'reachable' },
    ...(await cellsHealth(at.control.cells, () => null)),
  }
  const ready = await at.call('GET', '/readyz')
  expect(ready.status).toBe(200)
  expect(ready.json).toMatchObject({
    status: 'degraded',
    checks: {
      'cell:near': { ok: true },
      'cell:far': { ok: false, status: expect.stringMatching(/^away: /) },
    },
  })
  expect((await at.call('GET', '/readyz', undefined, null)).json.checks['cell:far']).toEqual({
    ok: false,
    status: 'away',
  })
  at.state.health = { database: { ok: false, status: 'no answer' } }
  expect((await at.call('GET', '/readyz')).status).toBe(503)
})

const lists = [
  '/couplings',
  '/couplings?sort=name&search=o',
  '/events',
  '/audit',
  '/tokens',
  '/catalogue',
  '/couplings/new',
]

test.each([
  { language: 'en', sentence: 'Cells that do not respond: far', finding: 'A cell does not respond' },
  { language: 'nl', sentence: 'Cellen die niet antwoorden: far', finding: 'Een cel antwoordt niet' },
])(
  'every page names in $language what is missing, and shows the rest',
  async ({ language, sentence, finding }) => {
    const cookie = `${await at.cookieOf('admin')}; walhook_language=${language}`
    for (const path of [
      ...lists,
      `/couplings/${ids[0]}`,
      `/couplings/${ids[1]}/log`,
      `/events/${events[0]}`,
    ]) {
      const { status, text } = await at.send(path, { headers: { cookie } })
      expect({ path, status, says: text.includes(sentence) }).toEqual({ path, status: 200, says: true })
    }
    const health = await at.send('/health', { headers: { cookie } })
    expect(health.text).toContain(finding)
    const couplings = await at.send('/couplings', { headers: { cookie } })
    expect(couplings.text).toContain('>Two</a>')
    expect(couplings.text).not.toContain('>Three</a>')
    for (const path of ['', '/log', '/overview', '/secret', '/replay', '/backfill', '/test']) {
      const { status, text } = await at.send(`/couplings/${ids[2]}${path}`, { headers: { cookie } })
      expect({ path, status, says: text.includes('far') }).toEqual({ path, status: 503, says: true })
    }
  },
)

test("a tenant with a webhook in an unreachable cell sees a notice without the cell's name", async () => {
  const token = await at.token('admin', { name: 'theirs', userId: '8', tenant: 'bravo' })
  const ask = (method: string, path: string, body?: object) => at.call(method, path, body, token)
  const own = await ask('GET', `/api/webhooks/${ids[2]}`)
  expect(own).toMatchObject({ status: 503, json: { code: 'cell.away' } })
  for (const path of ['/api/webhooks', '/api/events', '/api/audit'])
    expect((await ask('GET', path)).json.cells_away).toEqual(['[redacted]'])
  const applied = await ask('POST', '/api/apply', { source: 'x.yaml', webhooks: {} })
  expect(applied).toMatchObject({ status: 503, json: { code: 'cell.away_for_file' } })
  const cookie = await at.cookieFor(token)
  const list = await at.send('/couplings', { headers: { cookie, ...ours } })
  expect(list).toMatchObject({
    status: 200,
    text: expect.stringContaining('a part of walhook does not respond'),
  })
  for (const text of [own.text, applied.text, list.text]) expect(text).not.toMatch(/\bfar\b/)
})

test('a tenant without a webhook there sees no notice, and gets 404 for its objects', async () => {
  const token = await at.token('admin', { name: 'ours', userId: '7', tenant: 'acme' })
  const ask = async (id: number) => {
    const { status, text } = await at.call('GET', `/api/webhooks/${id}`, undefined, token)
    return { status, text: text.replaceAll(String(id), 'ID') }
  }
  expect((await ask(ids[0])).status).toBe(200)
  expect((await ask(ids[1])).status).toBe(200)
  const theirs = await statementsOf(() => ask(ids[2]))
  expect(theirs.done.status).toBe(404)
  expect(theirs).toEqual(await statementsOf(() => ask(999_999)))
  for (const path of ['/api/webhooks', '/api/events', '/api/audit'])
    expect((await at.call('GET', path, undefined, token)).json).not.toHaveProperty('cells_away')
  const applied = await at.call('POST', '/api/apply', { source: 'x.yaml', webhooks: {} }, token)
  expect(applied.status).toBe(200)
  const cookie = await at.cookieFor(token)
  for (const path of lists) {
    const { text, status } = await at.send(path, { headers: { cookie, ...ours } })
    expect({ path, status }).toEqual({ path, status: 200 })
    expect(text).not.toMatch(/cells-away|\bfar\b/)
  }
})

test('a new webhook goes to a reachable cell', async () => {
  const made = await create('Four')
  expect(made.status).toBe(201)
  expect((await at.control.cells.of(made.json.id)).name).not.toBe('far')
})

test('no file is applied, because the unreachable cell may have its webhooks', async () => {
  const { status, json } = await at.call('POST', '/api/apply', {
    source: 'webhooks.yaml',
    webhooks: { New: { url: 'https://new.example.com/', triggers: ['user.new'] } },
  })
  expect({ status, code: json.code }).toEqual({ status: 503, code: 'cell.away_for_file' })
  expect(json.detail).toContain('far')
  expect(await at.count('webhooks', `name = 'New'`)).toBe(0)
})

test('an entity is forgotten in reachable cells, and the response names the others', async () => {
  const { json } = await at.call('POST', '/api/forget', { entity_type: 'user', entity_id: '7' })
  expect(json).toMatchObject({ events: 1, is_complete: false, cells_away: ['far'] })
  const { rows } = await cells.near.outbox.pool.query(`select 1 from walhook.events where entity_id = '7'`)
  expect(rows).toEqual([])
})

test('once the cell responds again, everything is shown', async () => {
  cells.link.heal()
  cells.link.cut()
  const found = await until(
    async () => {
      const { json } = await at.call('GET', '/api/webhooks')
      return json.cells_away === undefined ? json.data : null
    },
    { what: 'the cell to answer' },
  )
  expect(found.map(({ id }: { id: number }) => id)).toEqual(expect.arrayContaining([...ids]))
  expect((await at.call('GET', `/api/webhooks/${ids[2]}`)).status).toBe(200)
  const { json } = await at.call('POST', '/api/forget', { entity_type: 'user', entity_id: '7' })
  expect(json).toMatchObject({ is_complete: true })
  expect(
    (await cells.far.outbox.pool.query(`select 1 from walhook.events where entity_id = '7'`)).rows,
  ).toEqual([])
  expect((await at.get('/couplings')).text).not.toContain('id="cells-away"')
})

test('if a cell becomes unreachable during a change, the response names it and the unknown result', async () => {
  const { pool } = cells.far.outbox
  const blocker = await pool.connect()
  await blocker.query('begin')
  await blocker.query('select from walhook.webhooks where id = $1 for update', [ids[2]])
  const changing = at.call('PATCH', `/api/webhooks/${ids[2]}`, { mode: 'latest' })
  await until(
    async () =>
      (
        await pool.query(
          `select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
        )
      ).rows.length > 0,
    { what: 'the change to wait' },
  )
  blocker.on('error', () => {})
  await cells.link[Symbol.asyncDispose]()
  const { status, json } = await changing
  expect({ status, code: json.code }).toEqual({ status: 503, code: 'cell.lost' })
  blocker.release(true)
})
