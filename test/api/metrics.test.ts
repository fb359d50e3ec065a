import { Registry } from 'prom-client'
import { expect, test } from 'vitest'
import packageJson from '../../package.json' with { type: 'json' }
import { createMetrics, type Gauges } from '../../src/api/metrics/metrics.ts'
import { countByWebhook } from '../../src/api/metrics/of-webhooks.ts'
import { firstIdAt } from '../../src/domain/value/time-id.ts'

const known: Gauges = {
  health: { database: { ok: true }, capture: { ok: false } },
  queue: {
    deliveries: 5,
    setAside: 4,
    lanes: 3,
    deadDeliveries: 2,
    streamsBehind: 1,
    oldestPendingMs: 2_500,
  },
  webhooks: { active: 7, failing: 3, disabled: 2, inactive: 1 },
  heldBackBytes: 4_096,
  captureState: 'streaming',
  openGaps: { ofEverything: 0, ofTables: 2 },
  mappingLost: 1,
  tables: ['"public"."users"'],
}

/** The samples of one reading, without help and types. */
async function samples(metrics: ReturnType<typeof createMetrics>) {
  const lines = (await metrics.read()).split('\n').filter(line => line !== '' && !line.startsWith('#'))
  return Object.fromEntries(
    lines.map(line => [line.slice(0, line.lastIndexOf(' ')), line.slice(line.lastIndexOf(' ') + 1)]),
  )
}

const at = new Date('2026-01-01T00:00:10Z')
const attempt = (facts: { outcome: 'delivered' | 'refused'; durationMs: number }) => ({
  webhookId: 7,
  trigger: 'schedule',
  eventId: firstIdAt(at.getTime() - 2_000),
  eventIds: null,
  startedAt: at,
  ...facts,
})

test('stored and sent events are counted', async () => {
  const metrics = createMetrics(async () => known)
  metrics.onStored({ changes: 3, events: 2, parked: [{}], truncated: ['"public"."users"'], lagMs: 1_500 })
  metrics.onStored({ changes: 4, events: 0, parked: [{}, {}], truncated: [], lagMs: 250 })
  metrics.onAttempts([attempt({ outcome: 'delivered', durationMs: 30 })])
  metrics.onAttempts([attempt({ outcome: 'delivered', durationMs: 3_000 })])
  metrics.onAttempts([attempt({ outcome: 'refused', durationMs: 1 })])
  expect(await samples(metrics)).toMatchObject({
    walhook_changes_total: '7',
    walhook_events_total: '2',
    walhook_parked_changes_total: '3',
    'walhook_truncated_tables_total{table="\\"public\\".\\"users\\""}': '1',
    walhook_capture_lag_seconds: '0.25',
    'walhook_attempts_total{outcome="delivered"}': '2',
    'walhook_attempts_total{outcome="refused"}': '1',
    'walhook_attempt_duration_seconds_bucket{le="0.05"}': '2',
    walhook_attempt_duration_seconds_count: '3',
    'walhook_webhook_attempts_total{webhook="7",outcome="delivered"}': '2',
    'walhook_webhook_attempts_total{webhook="7",outcome="refused"}': '1',
    'walhook_delivery_duration_seconds_bucket{le="1"}': '0',
    'walhook_delivery_duration_seconds_bucket{le="2.5"}': '1',
    walhook_delivery_duration_seconds_sum: expect.stringMatching(/^7\.0/),
    walhook_delivery_duration_seconds_count: '2',
    'walhook_capture_duration_seconds_bucket{le="0.25"}': '1',
    walhook_capture_duration_seconds_count: '2',
  })
})

test('present values are read at each scrape', async () => {
  let gauges = known
  const metrics = createMetrics(async () => gauges)
  expect(await samples(metrics)).toMatchObject({
    walhook_deliveries_waiting: '5',
    walhook_deliveries_set_aside: '4',
    walhook_lanes_waiting: '3',
    walhook_webhooks_behind: '1',
    walhook_oldest_pending_seconds: '2.5',
    walhook_deliveries_dead: '2',
    walhook_wal_held_back_bytes: '4096',
    walhook_capturing: '1',
    'walhook_capture_state{state="streaming"}': '1',
    'walhook_capture_state{state="blocked"}': '0',
    'walhook_capture_state{state="lost"}': '0',
    'walhook_gaps_open{of="everything"}': '0',
    'walhook_gaps_open{of="tables"}': '2',
    walhook_mapping_lost: '1',
    'walhook_ready{part="database"}': '1',
    'walhook_ready{part="capture"}': '0',
    'walhook_webhooks{state="active"}': '7',
    'walhook_webhooks{state="failing"}': '3',
    'walhook_webhooks{state="disabled"}': '2',
    'walhook_webhooks{state="inactive"}': '1',
  })
  gauges = {
    health: { database: { ok: true } },
    queue: null,
    webhooks: null,
    heldBackBytes: null,
    captureState: 'blocked',
    openGaps: null,
    mappingLost: null,
    tables: [],
  }
  expect(await samples(metrics)).toMatchObject({
    walhook_deliveries_waiting: 'Nan',
    walhook_deliveries_set_aside: 'Nan',
    walhook_lanes_waiting: 'Nan',
    walhook_webhooks_behind: 'Nan',
    walhook_oldest_pending_seconds: 'Nan',
    walhook_deliveries_dead: 'Nan',
    walhook_wal_held_back_bytes: 'Nan',
    walhook_capturing: '0',
    'walhook_capture_state{state="streaming"}': '0',
    'walhook_capture_state{state="blocked"}': '1',
    'walhook_gaps_open{of="everything"}': 'Nan',
    walhook_mapping_lost: 'Nan',
    'walhook_webhooks{state="failing"}': 'Nan',
  })
  gauges = { ...known, captureState: null }
  const names = Object.keys(await samples(metrics))
  expect(names.filter(name => name.startsWith('walhook_capture_state'))).toEqual([])
})

test('a counter used by an alert rule exists before it first increases', async () => {
  const metrics = createMetrics(async () => known)
  expect(await samples(metrics)).toMatchObject({
    'walhook_truncated_tables_total{table="\\"public\\".\\"users\\""}': '0',
    'walhook_attempts_total{outcome="refused"}': '0',
    walhook_parked_changes_total: '0',
  })
})

test('two walhooks in one process have separate counters', async () => {
  createMetrics(async () => known).onStored({ changes: 3, events: 2, parked: [], truncated: [], lagMs: 0 })
  expect(await samples(createMetrics(async () => known))).toMatchObject({ walhook_changes_total: '0' })
})

test('metrics show the version, memory and event loop delay', async () => {
  const read = await samples(createMetrics(async () => known))
  expect(read).toMatchObject({
    [`walhook_build_info{version="${packageJson.version}",node="${process.version}"}`]: '1',
    nodejs_eventloop_lag_p99_seconds: expect.any(String),
    process_resident_memory_bytes: expect.any(String),
  })
})

test('resends do not count in the waiting time, and a batch waits as long as its oldest event', async () => {
  const metrics = createMetrics(async () => known)
  const { eventId } = attempt({ outcome: 'delivered', durationMs: 0 })
  metrics.onAttempts([{ ...attempt({ outcome: 'delivered', durationMs: 0 }), trigger: 'manual' }])
  const eventIds = [eventId, firstIdAt(at.getTime() - 1_000)]
  metrics.onAttempts([{ ...attempt({ outcome: 'delivered', durationMs: 0 }), eventId: null, eventIds }])
  expect(await samples(metrics)).toMatchObject({
    walhook_delivery_duration_seconds_sum: '2',
    walhook_delivery_duration_seconds_count: '1',
  })
})

test('only the busiest webhooks have their own series, and no series ever decreases', async () => {
  const registry = new Registry()
  let now = 0
  const ofWebhooks = countByWebhook(registry, () => now, 2)
  const send = (webhookId: number, times: number) => {
    for (let i = 0; i < times; i++) ofWebhooks.onAttempts([{ webhookId, outcome: 'delivered' }])
  }
  const read = async () => {
    ofWebhooks.turn()
    const lines = (await registry.metrics()).split('\n').filter(line => line.startsWith('walhook'))
    return Object.fromEntries(
      lines.map(line => [/webhook="(.+?)"/.exec(line)![1], Number(line.split(' ')[1])]),
    )
  }
  send(1, 10)
  send(2, 10)
  send(3, 15)
  expect(await read()).toEqual({ 1: 10, 2: 10, other: 15 })
  send(3, 6)
  expect(await read()).toEqual({ 2: 10, other: 21 })
  send(3, 1)
  send(1, 1)
  expect(await read()).toEqual({ 2: 10, 3: 1, other: 22 })
  now += 3_600_000
  await read()
  send(1, 3)
  await read()
  send(1, 1)
  expect(await read()).toMatchObject({ 1: 1, other: 25 })
})
