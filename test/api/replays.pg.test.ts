import { afterAll, beforeAll, expect, test } from 'vitest'
import { createReplays } from '../../src/delivery/turn/replays.ts'
import { countReplay } from '../../src/outbox/by-hand/count-replay.ts'
import { takeReplay, workOnReplay } from '../../src/outbox/by-hand/replays.ts'
import { silentLog } from '../../src/runtime/log.ts'
import { connect } from '../support/connect.ts'
import { openTestApi } from '../support/open-api.ts'
import { settleAll } from '../support/sending.ts'
import { until } from '../support/wait.ts'

let at: Awaited<ReturnType<typeof openTestApi>>
beforeAll(async () => {
  at = await openTestApi()
})
afterAll(() => at[Symbol.asyncDispose]())

const from = '2020-01-01T00:00:00Z'
const call = async (method: string, path: string, body?: unknown) => {
  const { status, json } = await at.call(method, path, body)
  return { status, json }
}
const waitingOf = async (id: number) =>
  (await at.outbox.pool.query('select event_id from walhook.deliveries where webhook_id = $1', [id])).rowCount

/** Carries out what is open, as a process that delivers does. */
async function carryOut<T>(work: () => Promise<T>): Promise<T> {
  const stop = new AbortController()
  const running = createReplays({ outbox: at.outbox, log: silentLog, leaseMs: 500, pollMs: 500 }).run(
    stop.signal,
  )
  try {
    return await work()
  } finally {
    stop.abort()
    await running
  }
}

const ended = (path: string) =>
  until(async () => (await call('GET', path)).json.state !== 'running', { what: 'the replay to end' })

test('a replay is counted, runs in the background, is listed, and its starter is audited', async () => {
  const id = await at.webhook(['user.new', 'user.update'])
  await at.append('user 501 new', 'user 501 update', 'user 502 new', 'user 502 delete', 'company 5 new')
  for (let i = 0; i < 2; i++) await settleAll(at, id)
  const path = `/api/webhooks/${id}/replays`
  const made = await call('POST', path, { from, triggers: ['user.new'] })
  expect(made).toMatchObject({
    status: 201,
    json: { state: 'running', counted: 2, is_exact: true, looked_at: 0, queued: 0, missed: false },
  })
  const one = `${path}/${made.json.id}`
  await carryOut(() => ended(one))
  expect((await call('GET', one)).json).toMatchObject({ state: 'done', looked_at: 2, queued: 2 })
  expect(await waitingOf(id)).toBe(2)
  // What waits already is not queued twice.
  const again = await call('POST', path, { from })
  await carryOut(() => ended(`${path}/${again.json.id}`))
  expect((await call('GET', path)).json.data).toMatchObject([
    { state: 'done', counted: 3, looked_at: 3, queued: 1 },
    { state: 'done', queued: 2 },
  ])
  const audit = (await call('GET', `/api/audit?webhook_id=${id}`)).json.data
  expect(audit[0]).toMatchObject({
    action: 'deliveries.replayed',
    changes: { replay_id: { to: again.json.id } },
  })
})

test('wrong fields are reported with their pointers', async () => {
  const id = await at.webhook(['user.new'])
  const path = `/api/webhooks/${id}/replays`
  const { status, json } = await call('POST', path, { from, to: from, triggers: ['user.delete'] })
  expect(status).toBe(422)
  expect(json.errors.map(({ pointer }: { pointer: string }) => pointer)).toEqual(['/to', '/triggers/0'])
  expect((await call('POST', path, { from, missed: true })).status).toBe(422)
  expect((await call('POST', path, {})).status).toBe(422)
})

test('a replay of a future range is empty and ends at once', async () => {
  const id = await at.webhook(['user.new'])
  await at.append('user 40 new')
  const later = new Date(Date.now() + 600_000).toISOString()
  const { status, json } = await call('POST', `/api/webhooks/${id}/replays`, { from: later })
  expect([status, json.counted]).toEqual([201, 0])
  await carryOut(() => ended(`/api/webhooks/${id}/replays/${json.id}`))
  expect(await waitingOf(id)).toBe(0)
})

test('a stopped replay queues nothing more, and one of an inactive webhook says so', async () => {
  const id = await at.webhook(['user.new'])
  await at.append(...Array.from({ length: 6 }, (_, i) => `user ${600 + i} new`))
  await settleAll(at, id)
  const path = `/api/webhooks/${id}/replays`
  const first = (await call('POST', path, { from })).json
  const taken = (await takeReplay(at.outbox, 60_000))!
  let pages = 0
  await workOnReplay(at.outbox, taken, { pageEvents: 2, leaseMs: 60_000, isTimeOver: () => ++pages > 1 })
  const { looked_at } = (await call('GET', `${path}/${first.id}`)).json
  expect(looked_at).toBeGreaterThan(0)
  expect(looked_at).toBeLessThan(first.counted)
  expect(await waitingOf(id)).toBe(looked_at)
  // A process that was killed left it taken, with this page done: another goes on behind it, and none comes twice.
  const goesOn = (await takeReplay(at.outbox, 60_000))!
  pages = 0
  await workOnReplay(at.outbox, goesOn, { pageEvents: 2, leaseMs: 60_000, isTimeOver: () => ++pages > 1 })
  const more = (await call('GET', `${path}/${first.id}`)).json.looked_at
  expect(more).toBeGreaterThan(looked_at)
  expect(await waitingOf(id)).toBe(more)
  // The one that was first works on what it has read, and nothing of it stays.
  await workOnReplay(at.outbox, goesOn, { pageEvents: 2, leaseMs: 60_000, isTimeOver: () => false })
  expect((await call('GET', `${path}/${first.id}`)).json.looked_at).toBe(more)

  expect((await call('DELETE', `${path}/${first.id}`)).json).toMatchObject({
    state: 'cancelled',
    queued: more,
  })
  expect((await call('DELETE', `${path}/${first.id}`)).status).toBe(409)
  expect(await takeReplay(at.outbox, 60_000)).toBeNull()
  expect(await waitingOf(id)).toBe(more)

  const second = (await call('POST', path, { from })).json
  await call('PATCH', `/api/webhooks/${id}`, { is_active: false })
  await carryOut(() => ended(`${path}/${second.id}`))
  expect((await call('GET', `${path}/${second.id}`)).json).toMatchObject({ state: 'failed', queued: 0 })
  expect((await call('POST', path, { from })).status).toBe(409)
  // Deleted in the middle: nothing is left that somebody would work on.
  await call('PATCH', `/api/webhooks/${id}`, { is_active: true })
  await call('POST', path, { from })
  await call('DELETE', `/api/webhooks/${id}`)
  expect(await takeReplay(at.outbox, 60_000)).toBeNull()
})

test('events missed by an inactive webhook are counted by its filter, and sent once', async () => {
  const id = await at.webhook(['user.new'])
  const path = `/api/webhooks/${id}`
  expect((await call('GET', `${path}/missed`)).json).toEqual({ missed: null })
  await at.append('user 701 new')
  await call('PATCH', path, { is_active: false })
  await at.append('user 702 new', 'user 703 new', 'user 703 update', 'company 7 new')
  const off = (await call('GET', `${path}/missed`)).json.missed
  expect(off).toMatchObject({ events: 2, is_exact: true, until: null, kept_since: null, replay_id: null })
  const on = await call('PATCH', path, { is_active: true })
  expect(on.json.missed).toMatchObject({ events: 2, is_exact: true, replay_id: null })
  await at.append('user 704 new')
  await settleAll(at, id)
  expect((await call('PATCH', path, { name: 'x' })).json).not.toHaveProperty('missed')

  const { json } = await call('POST', `${path}/replays`, { missed: true })
  expect(json).toMatchObject({ missed: true, counted: 2 })
  await carryOut(() => ended(`${path}/replays/${json.id}`))
  const { rows } = await at.outbox.pool.query(
    'select entity_id from walhook.deliveries where webhook_id = $1 order by entity_id',
    [id],
  )
  expect(rows.map(row => row.entity_id)).toEqual(['702', '703'])
  expect((await call('GET', `${path}/missed`)).json.missed.replay_id).toBe(json.id)
  expect((await call('POST', `${path}/replays`, { missed: true })).status).toBe(409)
})

/** A webhook that was off while users were made, and is on again. */
async function missing(...users: number[]) {
  const id = await at.webhook(['user.new'])
  const path = `/api/webhooks/${id}`
  await call('PATCH', path, { is_active: false })
  await at.append(...users.map(user => `user ${user} new`))
  await call('PATCH', path, { is_active: true })
  return { id, path }
}

test('of many simultaneous calls one starts the replay of missed events', async () => {
  const { path } = await missing(901, 902)
  const answers = await Promise.all(
    Array.from({ length: 6 }, () => call('POST', `${path}/replays`, { missed: true })),
  )
  expect(answers.map(({ status }) => status).sort()).toEqual([201, 409, 409, 409, 409, 409])
  expect((await call('GET', `${path}/replays`)).json.data).toHaveLength(1)
  // Nobody works on it after this test.
  await call('DELETE', path)
})

test('the rest of a stopped replay of missed events stays missed, and the next replay sends it', async () => {
  const { id, path } = await missing(911, 912, 913, 914, 915)
  const first = (await call('POST', `${path}/replays`, { missed: true })).json
  let pages = 0
  const taken = (await takeReplay(at.outbox, 60_000))!
  await workOnReplay(at.outbox, taken, { pageEvents: 2, leaseMs: 60_000, isTimeOver: () => ++pages > 1 })
  const stopped = (await call('DELETE', `${path}/replays/${first.id}`)).json
  const reached = stopped.looked_at
  expect(reached).toBeGreaterThan(0)
  expect(stopped).toMatchObject({ state: 'cancelled', not_reached: 5 - reached })
  const rest = { events: 5 - reached, is_exact: true, replay_id: null, rest_of: first.id }
  expect((await call('GET', `${path}/missed`)).json.missed).toMatchObject(rest)

  // One that is stopped before it has begun changes nothing of that.
  const none = (await call('POST', `${path}/replays`, { missed: true })).json
  expect(none.counted).toBe(5 - reached)
  await call('DELETE', `${path}/replays/${none.id}`)
  expect((await call('GET', `${path}/missed`)).json.missed).toMatchObject({ ...rest, rest_of: none.id })

  const second = (await call('POST', `${path}/replays`, { missed: true })).json
  await carryOut(() => ended(`${path}/replays/${second.id}`))
  expect((await call('GET', `${path}/replays/${second.id}`)).json).toMatchObject({
    ...{ state: 'done', looked_at: 5 - reached, queued: 5 - reached, not_reached: null },
  })
  expect(await waitingOf(id)).toBe(5)
  expect((await call('GET', `${path}/missed`)).json.missed).toMatchObject({
    replay_id: second.id,
    rest_of: null,
  })
})

test('the rest of a failed replay of missed events is offered before events missed since', async () => {
  const { id, path } = await missing(931, 932, 933, 934, 935)
  const first = (await call('POST', `${path}/replays`, { missed: true })).json
  let pages = 0
  const taken = (await takeReplay(at.outbox, 60_000))!
  await workOnReplay(at.outbox, taken, { pageEvents: 2, leaseMs: 60_000, isTimeOver: () => ++pages > 1 })
  await call('PATCH', path, { is_active: false })
  await carryOut(() => ended(`${path}/replays/${first.id}`))
  const failed = (await call('GET', `${path}/replays/${first.id}`)).json
  expect(failed.state).toBe('failed')
  const left = 5 - failed.looked_at
  expect(left).toBeGreaterThan(0)
  await at.append('user 936 new')
  expect((await call('GET', `${path}/missed`)).json.missed).toMatchObject({ events: 1, until: null })

  const rest = { events: left, is_exact: true, replay_id: null, rest_of: first.id }
  expect((await call('PATCH', path, { is_active: true })).json.missed).toMatchObject(rest)
  const { until } = (await call('GET', `${path}/missed`)).json.missed
  expect(new Date(until).getTime()).toBeLessThan(Date.now())
  const second = (await call('POST', `${path}/replays`, { missed: true })).json
  expect(second.counted).toBe(left)
  await carryOut(() => ended(`${path}/replays/${second.id}`))
  expect((await call('GET', `${path}/missed`)).json.missed).toMatchObject({
    ...{ events: 1, replay_id: null, rest_of: null },
  })
  const third = (await call('POST', `${path}/replays`, { missed: true })).json
  await carryOut(() => ended(`${path}/replays/${third.id}`))
  expect(await waitingOf(id)).toBe(6)
  expect((await call('GET', `${path}/missed`)).json.missed.replay_id).toBe(third.id)
})

test('a cancelled continuation of a failed replay is not offered again', async () => {
  const { path } = await missing(941, 942)
  const first = (await call('POST', `${path}/replays`, { missed: true })).json
  await call('PATCH', path, { is_active: false })
  await carryOut(() => ended(`${path}/replays/${first.id}`))
  await at.append('user 943 new')
  await call('PATCH', path, { is_active: true })
  const again = (await call('POST', `${path}/replays`, { missed: true })).json
  expect(again.counted).toBe(2)
  await call('DELETE', `${path}/replays/${again.id}`)
  expect((await call('GET', `${path}/missed`)).json.missed).toMatchObject({ events: 1, rest_of: null })
  await call('DELETE', path)
})

test('a replay shows its database error until it continues', async () => {
  const id = await at.webhook(['user.new'])
  await at.append('user 921 new')
  const path = `/api/webhooks/${id}/replays`
  const { rows } = await at.outbox.pool.query(
    'select count(*)::int as n from walhook.replays where state = $1',
    ['running'],
  )
  expect(rows[0].n).toBe(0)
  await at.outbox.pool.query(`
    create function walhook.refuse_in_test() returns trigger language plpgsql as $$
    begin raise exception 'the disk is full'; end $$;
    create trigger refuse_in_test before update of looked_at on walhook.replays
      for each row execute function walhook.refuse_in_test()`)
  const one = `${path}/${(await call('POST', path, { from })).json.id}`
  await carryOut(async () => {
    await until(async () => (await call('GET', one)).json.problem?.includes('the disk is full'), {
      what: 'the reason',
    })
    await at.outbox.pool.query('drop trigger refuse_in_test on walhook.replays')
    await ended(one)
  })
  expect((await call('GET', one)).json).toMatchObject({ state: 'done', problem: null })
})

test('the count of a long range is estimated from a sample', async () => {
  const id = await at.webhook(['user.new'])
  await at.append(...Array.from({ length: 40 }, (_, i) => `user ${800 + i} ${i % 2 ? 'new' : 'update'}`))
  const range = { of: 'range', from: 0n, to: 2n ** 62n, triggers: null } as const
  const all = await countReplay(at.outbox, id, range, { tenant: null })
  expect(all.isExact).toBe(true)
  await at.outbox.pool.query('analyze walhook.events')
  const some = await countReplay(at.outbox, id, range, { tenant: null, maxScanned: 5 })
  expect(some.isExact).toBe(false)
  expect(some.count).toBeGreaterThan(5)
  expect(await countReplay(at.outbox, id, range, { tenant: 'nobody', maxScanned: 5 })).toEqual({
    count: 0,
    isExact: true,
  })
})

test('the commit of a new replay wakes an idle process at once', async () => {
  const id = await at.webhook(['user.new'])
  await at.append('user 521 new')
  await using listener = await connect(at.database.url)
  const stop = new AbortController()
  // Without the wake-up it would look an hour later.
  const replays = createReplays({ outbox: at.outbox, log: silentLog, pollMs: 3_600_000 })
  const running = replays.run(stop.signal)
  listener.on('notification', ({ payload }) => payload === 'replays' && replays.wake())
  await listener.query('listen walhook_outbox')
  const made = await call('POST', `/api/webhooks/${id}/replays`, { from })
  await ended(`/api/webhooks/${id}/replays/${made.json.id}`)
  stop.abort()
  await running
})
