import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  isSampled,
  ratioOf,
  samplers,
  spanIdIn,
  traceOf,
  traceparent,
  tracesUrl,
} from '../../src/domain/shown/trace.ts'

const ids = fc.bigInt({ min: 0n, max: 2n ** 63n - 1n })

test('the trace id of an event is equal in all processes, and different in each installation', () => {
  // Fixed for ever: processes of two versions deliver the same event during an upgrade.
  expect(traceOf('16384 1764374400000000', 1850092167168000000n)).toEqual({
    traceId: 'c9e6c0f77fb26af9e67380b96a579351',
    spanId: '5f010234dab0b426',
  })
  fc.assert(
    fc.property(ids, ids, (a, b) => {
      expect(traceOf('one', a)).toEqual(traceOf('one', a))
      expect(traceOf('one', a).traceId).not.toBe(traceOf('two', a).traceId)
      if (a !== b) expect(traceOf('one', a).traceId).not.toBe(traceOf('one', b).traceId)
      const { traceId, spanId } = traceOf('one', a)
      expect(spanIdIn(traceId, spanId)).toMatch(/^[0-9a-f]{16}$/)
      expect(traceparent({ traceId, spanId }, true)).toBe(`00-${traceId}-${spanId}-01`)
    }),
  )
})

test('a fraction of traces is sampled, and a smaller fraction is a subset of a larger one', () => {
  const traces = Array.from({ length: 4_000 }, (_, i) => traceOf('one', BigInt(i)).traceId)
  for (const ratio of [0, 0.01, 0.1, 0.5, 1]) {
    const sampled = traces.filter(traceId => isSampled(traceId, ratio))
    // Six standard deviations.
    const max = 6 * Math.sqrt(traces.length * ratio * (1 - ratio))
    expect(Math.abs(sampled.length - traces.length * ratio)).toBeLessThanOrEqual(max)
    for (const traceId of sampled) expect(isSampled(traceId, Math.min(1, ratio * 2))).toBe(true)
  }
  // The random part is on the right. https://www.w3.org/TR/trace-context-2/#random-trace-id-flag
  expect(isSampled(`${'f'.repeat(18)}${'0'.repeat(14)}`, 0.5)).toBe(false)
  expect(isSampled(`${'0'.repeat(18)}${'f'.repeat(14)}`, 0.5)).toBe(true)
})

test.each([
  ['always_on', 'x', 1],
  ['always_off', '', 0],
  ['parentbased_always_on', '0.5', 1],
  ['traceidratio', '0.25', 0.25],
  ['parentbased_traceidratio', '1', 1],
  ['traceidratio', '0', 0],
  ['traceidratio', '1.5', null],
  ['traceidratio', '-1', null],
  ['traceidratio', '10%', null],
])('the sampler %s with the argument %j samples %j of all traces', (name, argument, ratio) => {
  expect(samplers).toContain(name)
  expect(ratioOf(name, argument)).toBe(ratio)
})

test.each([
  ['http://localhost:4318', 'http://localhost:4318/v1/traces'],
  ['http://localhost:4318/', 'http://localhost:4318/v1/traces'],
  ['https://otlp.example.com/otlp?key=a', 'https://otlp.example.com/otlp/v1/traces?key=a'],
  ['localhost:4318', null],
  ['grpc://localhost:4317', null],
  ['http://', null],
])('spans for the endpoint %s go to %s', (endpoint, url) => {
  expect(tracesUrl(endpoint, false)).toBe(url)
  if (url) expect(tracesUrl(endpoint, true)).toBe(endpoint)
})
