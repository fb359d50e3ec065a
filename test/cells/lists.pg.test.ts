import { afterAll, beforeAll, expect, test } from 'vitest'
import { openTestPages } from '../support/open-pages.ts'
import { addTwoCells, copyLog, fillWebhook, type TwoCells } from '../support/two-cells.ts'

let at: Awaited<ReturnType<typeof openTestPages>>
let cells: TwoCells
/** By turns in main, near and far. */
const ids: number[] = []
let events: bigint[]

const create = async (name: string, more: object = {}) => {
  const fields = { name, url: 'https://crm.example.com/', triggers: ['user.new', 'user.update'], ...more }
  const made = await at.call('POST', '/api/webhooks', fields)
  expect(made.status).toBe(201)
  return made.json.id as number
}

const cellOf = async (id: number) => (await at.control.cells.of(id)).name

beforeAll(async () => {
  const nowMs = Date.now()
  at = await openTestPages({ nowMs: () => nowMs })
  ids.push(await create('One'))
  cells = await addTwoCells(at)
  for (const name of ['Two', 'Three', 'Four', 'Five', 'Six']) ids.push(await create(name))
  events = await at.append('user 7 new', 'user 7 update', 'user 8 new')
  for (const cell of [cells.near, cells.far]) await copyLog(at, cell)
})
afterAll(async () => {
  await cells[Symbol.asyncDispose]()
  await at[Symbol.asyncDispose]()
})

const all = async (path: string, limit: number) => {
  const found: Record<string, unknown>[] = []
  for (let cursor: string | null = ''; cursor !== null; ) {
    const query: string = cursor === '' ? '' : `&cursor=${encodeURIComponent(cursor)}`
    const page = await at.call('GET', `${path}limit=${limit}${query}`)
    expect(page.status).toBe(200)
    expect(page.json.cells_away).toBeUndefined()
    found.push(...page.json.data)
    // A cursor that goes in circles.
    expect(found.length).toBeLessThan(200)
    cursor = page.json.next_cursor
  }
  return found
}

test('a new webhook is placed in the cell with the fewest, with a unique id', async () => {
  expect(await Promise.all(ids.map(cellOf))).toEqual(['main', 'near', 'far', 'main', 'near', 'far'])
  expect(new Set(ids).size).toBe(6)
})

test('webhooks of all cells form one list by id, page by page', async () => {
  for (const limit of [1, 2, 4, 50])
    expect((await all('/api/webhooks?', limit)).map(({ id }) => id)).toEqual(ids)
})

test('the page of all webhooks shows their names, figures and states', async () => {
  const { text } = await at.get('/couplings?sort=name')
  const names = [...text.matchAll(/<a href="\/couplings\/\d+">(\w+)<\/a>/g)].map(([, name]) => name)
  expect(names).toEqual(['Five', 'Four', 'One', 'Six', 'Three', 'Two'])
  expect(text).toMatch(/All <span class="count">6</)
  expect((await at.get('/couplings?search=three')).text).toContain('Three')
})

test('the audits of all cells form one list, newest first, with each record once', async () => {
  const whole = await all('/api/audit?', 100)
  expect(whole.length).toBeGreaterThanOrEqual(6)
  const times = whole.map(record => String(record.at))
  expect(times).toEqual([...times].sort().reverse())
  expect(new Set(whole.map(({ id }) => id)).size).toBe(whole.length)
  for (const limit of [1, 2, 3]) expect(await all('/api/audit?', limit)).toEqual(whole)
  const { text } = await at.get('/audit')
  for (const name of ['One', 'Two', 'Three', 'Four', 'Five', 'Six']) expect(text).toContain(`>${name}</a>`)
})

test('incidents of all cells form one list', async () => {
  for (const [i, { outbox }] of at.control.cells.all().entries())
    await outbox.pool.query(
      `insert into walhook.incidents (kind, subject, webhook_id, opened_at, last_at)
       select 'webhook.failing', w.id::text, w.id, now() - interval '1 hour' * w.id, now() from unnest($1::int[]) w (id) order by w.id desc`,
      [[ids[i], ids[i + 3]]],
    )
  const whole = await all('/api/alerts?', 100)
  expect(whole.map(({ webhook_id }) => webhook_id)).toEqual(ids)
  for (const limit of [1, 4]) expect(await all('/api/alerts?', limit)).toEqual(whole)
  expect((await at.call('GET', '/api/alerts?limit=1&cursor=0')).json.data).toEqual(whole.slice(0, 1))
})

test('an event counts and explains its deliveries in every cell', async () => {
  for (const [i, { outbox }] of at.control.cells.all().entries())
    await fillWebhook({ outbox }, ids[i]!, events)
  const listed = await all('/api/events?', 1)
  expect(listed.map(({ id }) => id)).toEqual([...events].reverse().map(String))
  expect(await all('/api/events?', 50)).toEqual(listed)
  expect(listed.map(({ webhooks }) => webhooks)).toEqual([
    expect.objectContaining({ pending: 6, delivered: 0, dead: 0 }),
    expect.objectContaining({ pending: 3, delivered: 0, dead: 3 }),
    expect.objectContaining({ pending: 3, delivered: 3, dead: 0 }),
  ])
  const of = async (state: string) => (await all(`/api/events?state=${state}&`, 1)).map(({ id }) => id)
  expect(await of('dead')).toEqual([String(events[1])])
  expect(await of('delivered')).toEqual([String(events[0])])
  expect(await of('pending')).toEqual([...events].reverse().map(String))
  expect(await of('not_sent')).toEqual([])
  const { json } = await at.call('GET', `/api/events/${events[0]}`)
  expect(
    json.deliveries.map(({ webhook_id, state }: { webhook_id: number; state: string }) => [
      webhook_id,
      state,
    ]),
  ).toEqual(ids.map((id, i) => [id, i < 3 ? 'delivered' : expect.not.stringMatching('delivered')]))
  for (const id of ids) {
    const one = await at.call('GET', `/api/events/${events[0]}?webhook_id=${id}`)
    expect(one.json.deliveries.map(({ webhook_id }: { webhook_id: number }) => webhook_id)).toEqual([id])
  }
  const { text } = await at.get(`/events/${events[0]}`)
  for (const id of ids) expect(text).toContain(`id="webhook-${id}"`)
})

test('an alert stored only in a cell is listed and shown', async () => {
  const { outbox } = cells.far
  const { rows } = await outbox.pool.query(
    `insert into walhook.events (id, share, webhooks_version, commit_lsn, index_in_transaction, entity_type, entity_id, action_type, committed_at, body)
     select min(id) - 1, walhook.share_of('walhook.webhook', '3'), 1, '0/0', 0, 'walhook.webhook', '3', 'failing', now(), '{}' from walhook.events
     returning id`,
  )
  const [alert] = rows
  const listed = await all('/api/events?', 2)
  expect(listed.map(({ id }) => id)).toEqual([events[2], events[1], events[0], alert.id].map(String))
  expect((await at.call('GET', `/api/events/${alert.id}`)).json).toMatchObject({ action_type: 'failing' })
  expect((await at.get(`/events/${alert.id}`)).status).toBe(200)
})

test('status and Health show each cell and the sums', async () => {
  const { json } = await at.call('GET', '/api/status')
  expect(json.queue.deliveries_dead).toBe(3)
  expect(
    json.cells.map(({ name, state, webhooks }: Record<string, unknown>) => ({ name, state, webhooks })),
  ).toEqual([
    { name: 'main', state: 'ok', webhooks: 2 },
    { name: 'near', state: 'ok', webhooks: 2 },
    { name: 'far', state: 'ok', webhooks: 2 },
  ])
  const { text } = await at.get('/health')
  expect(text).toMatch(/<th scope="row">far<\/th>/)
  expect(text).not.toContain('id="cells-away"')
})

test('a backfill for a webhook in a cell is started; one without a receiver is refused', async () => {
  const start = (body: object) => at.call('POST', '/api/backfills', { entity_type: 'user', ...body })
  expect((await start({ webhook_id: ids[2] })).status).toBe(201)
  expect((await start({ webhook_id: 999_999 })).status).toBe(422)
  expect((await start({})).status).toBe(201)
  expect((await at.call('POST', '/api/backfills', { entity_type: 'company' })).json).toMatchObject({
    code: 'backfill.no_receiver',
  })
})
