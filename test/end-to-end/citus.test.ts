import { afterAll, expect, test } from 'vitest'
import { openOutbox } from '../../src/outbox/database/database.ts'
import { dropOldDays } from '../../src/outbox/days/retention.ts'
import { citusUrl } from '../support/citus.ts'
import { type CitusTrial, openCitusTrial } from '../support/citus-trial.ts'
import { until } from '../support/wait.ts'

/**
 * All that a cell does, in a schema that a real Citus has placed: docs/explain/citus.md says how to make one. The steps go on from one
 * another; the last one reads the logs of all nodes.
 */
const at: CitusTrial | null = citusUrl ? await openCitusTrial(citusUrl) : null
afterAll(async () => await at?.[Symbol.asyncDispose]())

function step(name: string, run: (at: CitusTrial) => Promise<void>) {
  if (at !== null) test(name, { timeout: 300_000 }, () => run(at))
}

if (at === null)
  test('a real Citus works as a cell', ({ skip }) =>
    skip('WALHOOK_TEST_CITUS names no coordinator: docs/explain/citus.md says how to make one'))

step('Citus places all tables of a cell on one worker', async at => {
  const { rows } = await at.psql.query(
    `select count(*)::int as tables, count(distinct nodeport)::int as nodes from citus_shards
     where table_name::text like 'walhook_west.%'`,
  )
  expect(rows[0]).toMatchObject({ nodes: 1 })
  expect(rows[0].tables).toBeGreaterThan(60)
})

step('each event arrives once and in order: one by one, in batches, and the latest', async at => {
  await at.webhook('/plain', {})
  await at.webhook('/batches', { batch: { max_events: 10, max_wait_ms: 200 } })
  await at.webhook('/latest', { mode: 'latest' })
  await at.change(20, 5)
  await at.untilAll('/plain')
  await at.untilAll('/batches')
  await at.untilNewest('/latest')
})

step(
  'what fails is retried, blocks its entity only, and becomes a dead letter that is sent again by hand',
  async at => {
    const one = await at.webhook('/failing', {})
    const batched = await at.webhook('/failing-batches', { batch: { max_events: 5, max_wait_ms: 100 } })
    const refused = (user: number) => user % 5 === 0
    at.reactTo(({ path, users }, earlier) =>
      path.startsWith('/failing') && (users.some(refused) || (users[0]! % 3 === 0 && earlier === 0))
        ? { status: 500 }
        : {},
    )
    await at.change(15, 2)
    await at.untilAll('/failing', user => !refused(user))
    for (const id of [one, batched])
      await until(
        async () => (await at.count('ended_deliveries', `webhook_id = ${id} and state = 'dead'`)) >= 3,
        {
          what: 'dead letters',
        },
      )
    const log = await at.api('GET', `/api/webhooks/${one}/log?outcome=refused&limit=100`)
    expect(log.data.length).toBeGreaterThan(8)
    const event = await at.api('GET', `/api/events/${log.data[0].event_id}`)
    expect(event.entity_type).toBe('user')
    at.reactTo(() => ({}))
    const from = new Date(Date.now() - 3_600_000).toISOString()
    for (const id of [one, batched])
      await until(
        async () => {
          await at.api('POST', `/api/webhooks/${id}/resend-failed`, { from })
          return (await at.count('ended_deliveries', `webhook_id = ${id} and state = 'dead'`)) === 0
        },
        { what: 'no dead letters' },
      )
    await until(() => at.arrivedAt('/failing').length === 30, { what: 'what had failed' })
    await until(async () => (await at.count('deliveries', `webhook_id in (${one}, ${batched})`)) === 0, {
      what: 'nothing to wait',
    })
  },
)

step('by hand: resend, replay, cancel, and what was missed while inactive', async at => {
  const id = await at.webhook('/by-hand', {})
  const from = new Date(Date.now() - 60_000).toISOString()
  await at.change(10, 2)
  await at.untilAll('/by-hand')
  const log = await at.api('GET', `/api/webhooks/${id}/log?limit=1`)
  await at.api('POST', `/api/webhooks/${id}/resend`, { event_id: log.data[0].event_id })
  await until(() => at.arrivedAt('/by-hand').length === 21, { what: 'the resent one' })
  const isQueued = await at.api('POST', `/api/webhooks/${id}/replay`, { from })
  await until(() => at.arrivedAt('/by-hand').length === 21 + isQueued.queued, { what: 'the replay' })
  expect(isQueued.queued).toBeGreaterThanOrEqual(20)

  await at.api('PATCH', `/api/webhooks/${id}`, { is_active: false })
  await at.change(5, 2)
  await at.untilAll('/plain')
  await at.api('PATCH', `/api/webhooks/${id}`, { is_active: true })
  await until(async () => (await at.api('GET', `/api/webhooks/${id}/missed`)).missed?.events === 10, {
    what: 'what was missed',
  })
  const job = await at.api('POST', `/api/webhooks/${id}/replays`, { missed: true })
  const state = async () => (await at.api('GET', `/api/webhooks/${id}/replays/${job.id}`)).state
  await until(async () => (await state()) === 'done', { what: 'the replay in the background' })
  await until(() => at.arrivedAt('/by-hand').length === 31 + isQueued.queued, { what: 'what was missed' })

  at.reactTo(({ path }) => (path === '/by-hand' ? { status: 500 } : {}))
  await at.change(3, 3)
  await until(async () => (await at.count('deliveries', `webhook_id = ${id}`)) > 0, { what: 'what waits' })
  await until(
    async () => {
      await at.api('POST', `/api/webhooks/${id}/cancel`, { all: true })
      return (await at.count('deliveries', `webhook_id = ${id}`)) === 0
    },
    { what: 'nothing to wait' },
  )
  at.reactTo(() => ({}))
  at.forget('/by-hand')
})

step(
  'settings, secrets, tests, a disabling by 410 with its alert, a deletion, and the audit of all',
  async at => {
    const id = await at.webhook('/settings', {})
    const alerted = await at.webhook('/alerts', { triggers: ['webhook.disabled', 'delivery.dead'] })
    at.forget('/alerts')
    await at.api('POST', `/api/webhooks/${id}/test`, { user_id: 1 })
    await at.api('POST', `/api/webhooks/${id}/rotate-secret`)
    await at.api('PATCH', `/api/webhooks/${id}`, { triggers: ['user.update'], name: 'other' })
    await at.api('PATCH', `/api/webhooks/${id}`, { filter: { 'user.version': [-1] } })
    await at.api('PATCH', `/api/webhooks/${id}`, {
      filter: null,
      triggers: ['user.new', 'user.update'],
      previous: true,
    })
    await at.change(3, 1)
    await at.untilAll('/settings')
    at.reactTo(({ path }) => (path === '/settings' ? { status: 410 } : {}))
    await at.change(1, 1)
    await until(async () => (await at.api('GET', `/api/webhooks/${id}`)).disabled_at !== null, {
      what: 'the 410',
    })
    await until(() => at.receiver.account.some(({ path }) => path === '/alerts'), { what: 'the alert' })
    at.reactTo(() => ({}))
    at.forget('/settings')
    await at.api('DELETE', `/api/webhooks/${id}`)
    await at.api('DELETE', `/api/webhooks/${alerted}`)
    await until(async () => (await at.count('deliveries', `webhook_id = ${id}`)) === 0, {
      what: 'the deletion',
    })
    const audit = await at.api('GET', `/api/audit?webhook_id=${id}&limit=100`)
    expect(audit.data.map((item: { action: string }) => item.action)).toContain('webhook.secret_rotated')
    for (const { id } of audit.data)
      expect([id, Number(id) > 20_000_000 && Number(id) < 40_000_000]).toEqual([id, true])
    for (const path of ['/api/status', '/api/alerts', '/api/events', '/api/webhooks'])
      await at.api('GET', path)
  },
)

step('a backfill, and an entity that is forgotten', async at => {
  const id = await at.webhook('/backfill', {})
  const { rows } = await at.psql.query('select count(*)::int as n from users')
  const { id: job } = await at.api('POST', '/api/backfills', { entity_type: 'user', webhook_id: id })
  await until(async () => (await at.api('GET', `/api/backfills/${job}`)).state === 'done', {
    what: 'the backfill',
  })
  await until(() => at.arrivedAt('/backfill').length === rows[0].n, { what: 'its events' })
  at.forget('/backfill')
  const forgotten = await at.api('POST', '/api/forget', { entity_type: 'user', entity_id: 1 })
  expect(forgotten).toMatchObject({ is_complete: true })
  expect(await at.count('events', `entity_type = 'user' and entity_id = '1'`)).toBe(0)
})

/** Writes until it is over. */
async function under(at: CitusTrial, work: () => Promise<void>): Promise<void> {
  let isOver = false
  const writing = (async () => {
    while (!isOver) {
      await at.change(3, 2)
      await new Promise(resolve => setTimeout(resolve, 100))
    }
  })()
  try {
    await work()
  } finally {
    isOver = true
    await writing
  }
}

step('a process is killed under load, and another one takes over', async at => {
  const other = at.start()
  await other.ready()
  await under(at, async () => {
    await at.api('GET', '/api/status')
    await at.killAndGoOn(other)
    await other.logged('delivery.taken_over')
  })
  await at.untilEach('/plain')
  const once = new Set(at.arrivedAt('/plain').map(({ user, version }) => `${user} ${version}`))
  expect(once.size).toBeGreaterThan(100)
})

step('Citus moves the schema to the other worker and back under load', async at => {
  const id = await at.webhook('/moved', {})
  await under(at, async () => {
    for (let i = 0; i < 2; i++) {
      const { rows } = await at.psql.query(
        `select nodename, nodeport from pg_dist_node n where noderole = 'primary' and groupid <> 0 and nodeport <> (
           select max(nodeport) from citus_shards where table_name::text like 'walhook_west.%')`,
      )
      await at.psql.query(`select citus_schema_move('walhook_west', $1::text, $2::int)`, [
        rows[0].nodename,
        rows[0].nodeport,
      ])
      // Citus deletes what a move leaves when nobody reads it any more, and moves nothing back there before.
      await until(
        async () => {
          await at.psql.query('call citus_cleanup_orphaned_resources()')
          return (await at.psql.query('select 1 from pg_dist_cleanup')).rows.length === 0
        },
        { what: 'the old tables to be gone' },
      )
    }
  })
  await at.untilAll('/moved')
  await until(
    async () =>
      (await at.count('attempts', `webhook_id = ${id} and outcome = 'delivered'`)) ===
      at.arrivedAt('/moved').length,
    { what: 'the log of all attempts' },
  )
})

step('a webhook moves to main and back under load', async at => {
  const id = await at.webhook('/both-ways', {})
  await under(at, async () => {
    await at.run('cell', 'move', String(id), 'main')
    await at.run('cell', 'move', String(id), 'west')
  })
  await at.untilAll('/both-ways')
})

step('days are dropped', async at => {
  await using cell = openOutbox({
    url: at.database.url,
    schema: 'walhook_west',
    maxConnections: 3,
    onError() {},
  })
  const { dropped } = await dropOldDays(cell, Date.now(), { logDays: 0, eventsDays: 0 })
  expect(dropped.map(name => name.slice(0, -9)).sort()).toEqual(['attempts', 'ended_deliveries', 'events'])
})

step('the cell is removed with its schema', async at => {
  const { data: items } = await at.api('GET', '/api/webhooks?limit=100')
  for (const { id } of items) await at.api('DELETE', `/api/webhooks/${id}`)
  await at.run('cell', 'remove', 'west', '--drop')
  const { rows } = await at.psql.query(`select 1 from pg_namespace where nspname = 'walhook_west'`)
  expect(rows).toEqual([])
})

/** A process that waits for the slot of another one. */
const planned = /replication slot "\w+" is active/

step('no node has refused a statement', async at => {
  const refused = (await at.errors()).filter(entry => !planned.test(entry))
  expect(refused.map(entry => entry.slice(0, 1_000))).toEqual([])
})
