import { expect, test } from 'vitest'
import { createMetrics, type Gauges } from '../../src/api/metrics.ts'

const known: Gauges = {
  queue: {
    deliveries: 5,
    setAside: 4,
    lanes: 3,
    deadDeliveries: 2,
    streamsBehind: 1,
    oldestPendingMs: 2_500,
  },
  heldBackBytes: 4_096,
  captureState: 'streaming',
  openGaps: { ofEverything: 0, ofTables: 2 },
  mappingLost: 1,
}

/** The samples of one reading, without help and types. */
async function samples(metrics: ReturnType<typeof createMetrics>) {
  const lines = (await metrics.read()).split('\n').filter(line => line !== '' && !line.startsWith('#'))
  return Object.fromEntries(
    lines.map(line => [line.slice(0, line.lastIndexOf(' ')), line.slice(line.lastIndexOf(' ') + 1)]),
  )
}

test('what was stored and sent is counted', async () => {
  const metrics = createMetrics(async () => known)
  metrics.onStored({ changes: 3, events: 2, parked: [{}], truncated: ['"public"."users"'], lagMs: 1_500 })
  metrics.onStored({ changes: 4, events: 0, parked: [{}, {}], truncated: [], lagMs: 250 })
  metrics.onAttempt({ outcome: 'delivered', durationMs: 30 })
  metrics.onAttempt({ outcome: 'delivered', durationMs: 3_000 })
  metrics.onAttempt({ outcome: 'refused', durationMs: 1 })
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
  })
})

test('what stands now is asked for at each reading', async () => {
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
  })
  gauges = { queue: null, heldBackBytes: null, captureState: 'blocked', openGaps: null, mappingLost: null }
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
  })
  gauges = { ...known, captureState: null }
  const names = Object.keys(await samples(metrics))
  expect(names.filter(name => name.startsWith('walhook_capture_state'))).toEqual([])
})

test('a walhook beside another one in a process counts for itself', async () => {
  createMetrics(async () => known).onStored({ changes: 3, events: 2, parked: [], truncated: [], lagMs: 0 })
  expect(await samples(createMetrics(async () => known))).toMatchObject({ walhook_changes_total: '0' })
})
