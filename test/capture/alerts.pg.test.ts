import { expect, test } from 'vitest'
import { createCaptureAlerts, incidentOf } from '../../src/capture/alerts.ts'
import type { CaptureState } from '../../src/capture/continuity/state.ts'
import { listIncidents } from '../../src/outbox/records/incidents.ts'
import { openTestOutbox, slotName, type TestOutbox } from '../support/open-outbox.ts'
import { until } from '../support/wait.ts'

/** A process with a state that the test changes. */
function run(at: TestOutbox, first: CaptureState) {
  let state = first
  const ending = new AbortController()
  const running = createCaptureAlerts({ outbox: at.outbox, slotName, state: () => state }).run(ending.signal)
  return {
    becomes(next: CaptureState) {
      state = next
    },
    async [Symbol.asyncDispose]() {
      ending.abort()
      await running
    },
  }
}

const lines = async (at: TestOutbox) =>
  (await listIncidents(at.outbox, { limit: 100, before: null, isOpen: false })).map(
    ({ kind, facts, endedAt }) => `${kind} ${facts.code ?? '-'}${endedAt ? ' ended' : ''}`,
  )
const streaming = { state: 'streaming', reason: null } as const
const standingBy = { state: 'standing by', reason: null } as const
const blocked = { state: 'blocked', reason: 'wal_level is replica', code: 'capture.source_problem' } as const
const lagging = { state: 'lagging', reason: 'behind' } as const

test.each<[CaptureState, string | null]>([
  [{ state: 'starting', reason: null }, null],
  [{ state: 'starting', reason: 'x', code: 'capture.source_unavailable' }, 'capture.blocked'],
  [blocked, 'capture.blocked'],
  [lagging, 'capture.lagging'],
  [streaming, null],
  [standingBy, null],
  [{ state: 'gap', reason: 'x' }, null],
  [{ state: 'lost', reason: 'x', code: 'capture.changes_lost' }, null],
])('the state %j is the incident %s', (state, kind) => {
  expect(incidentOf(state)).toBe(kind)
})

test('two processes record one incident, which ends when one of them streams; the other adds nothing', async () => {
  await using at = await openTestOutbox()
  await using one = run(at, blocked)
  await using two = run(at, blocked)
  await until(async () => (await lines(at)).length === 1, { what: 'the incident' })
  one.becomes(streaming)
  two.becomes(standingBy)
  await until(async () => (await lines(at))[0]?.endsWith('ended') === true, { what: 'its end' })
  expect(await lines(at)).toEqual(['capture.blocked capture.source_problem ended'])
  one.becomes(lagging)
  await until(async () => (await lines(at)).length === 2, { what: 'the delay' })
  one.becomes({ state: 'lost', reason: 'gone', code: 'capture.changes_lost' })
  // What is lost is noted with its gap.
  await until(async () => (await lines(at)).every(line => line.endsWith('ended')), {
    what: 'the end of the delay',
  })
  expect(await lines(at)).toEqual(['capture.lagging - ended', 'capture.blocked capture.source_problem ended'])
})
