import { expect, test } from 'vitest'
import { connect } from '../support/connect.ts'
import { createTestDatabase } from '../support/database.ts'
import { type CollectedSpan, startCollector } from '../support/otlp-collector.ts'
import { readQueue } from '../support/read-outbox.ts'
import { startTestReceiver } from '../support/test-receiver.ts'
import { until } from '../support/wait.ts'
import { startWalhook } from '../support/walhook-process.ts'

const tables = `
  create table users (id integer primary key, email text);
  create table companies (id integer primary key);`
const triggers = ['user.new', 'user.update', 'user.delete']
const isOf =
  (name: string) =>
  (span: CollectedSpan): boolean =>
    span.name === name

test('an event is one trace from capture to settlement over two processes; a retry adds to it, and the receiver gets traceparent', async () => {
  await using database = await createTestDatabase({ hasOutbox: true })
  await using collector = await startCollector()
  // The first request of the second user is refused.
  let refusals = 0
  await using receiver = await startTestReceiver(({ entityId }) =>
    entityId === '2' && refusals++ === 0 ? 500 : 204,
  )
  await using psql = await connect(database.url)
  await psql.query(tables)
  const env = {
    OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
    OTEL_EXPORTER_OTLP_HEADERS: 'authorization=Bearer%20collector-token',
    OTEL_SERVICE_NAME: 'our-walhook',
    WALHOOK_LOG_ENTITY_IDS: 'false',
    WALHOOK_RETRY_SCHEDULE: '1s,1s',
  }
  await using capture = startWalhook(database, { ...env, WALHOOK_ROLES: 'capture' })
  await capture.logged('capture.state', { state: 'streaming' })
  await using delivery = startWalhook(database, { ...env, WALHOOK_ROLES: 'delivery,api' })
  await delivery.ready()
  for (const traceparent of [true, undefined])
    await delivery.api('POST', '/api/webhooks', {
      name: `told: ${traceparent}`,
      url: `${receiver.url}/secret-path?${traceparent ? 'told' : 'untold'}`,
      triggers,
      ...(traceparent && { traceparent }),
    })

  await psql.query(`insert into users values (1, 'ann@example.com'), (2, 'bob@example.com')`)
  const count = (name: string) => collector.spans.filter(isOf(name)).length
  await until(() => count('settle') === 5 && count('append') === 2, { what: 'the spans of two events' })

  const traces = Map.groupBy(collector.spans, ({ traceId }) => traceId)
  expect(traces.size).toBe(2)
  const attemptsOf: number[] = []
  for (const spans of traces.values()) {
    const [root] = spans.filter(isOf('capture'))
    expect(root!.parentSpanId).toBeUndefined()
    const appends = spans.filter(isOf('append'))
    expect(appends).toHaveLength(1)
    expect(appends[0]!.attributes).toMatchObject({
      'walhook.append.events': 2,
      'walhook.entity_type': 'user',
    })
    const attempts = spans.filter(isOf('attempt'))
    for (const span of [...appends, ...attempts]) expect(span.parentSpanId).toBe(root!.spanId)
    for (const attempt of attempts)
      expect(
        spans.filter(isOf('settle')).filter(({ parentSpanId }) => parentSpanId === attempt.spanId),
      ).toHaveLength(1)
    for (const { startMs, endMs } of spans) expect(endMs).toBeGreaterThanOrEqual(startMs)
    expect(new Set(spans.map(({ spanId }) => spanId)).size).toBe(spans.length)
    attemptsOf.push(attempts.length)
  }
  expect(attemptsOf.toSorted()).toEqual([2, 3])

  const attempts = collector.spans.filter(isOf('attempt'))
  const [refused, again] = attempts
    .filter(({ isError, attributes }) => isError || attributes['walhook.attempt'] === 2)
    .toSorted((a, b) => a.startMs - b.startMs)
  expect(refused).toMatchObject({
    kind: 3,
    isError: true,
    attributes: {
      'walhook.webhook_id': expect.any(Number),
      'walhook.attempt': 1,
      'walhook.outcome': 'refused',
      'walhook.duration_ms': expect.any(Number),
      'http.response.status_code': 500,
      'server.address': '127.0.0.1',
    },
  })
  expect(again).toMatchObject({
    traceId: refused!.traceId,
    isError: false,
    attributes: { 'walhook.outcome': 'delivered', 'http.request.resend_count': 1 },
  })
  const [afterRefusal] = collector.spans.filter(({ parentSpanId }) => parentSpanId === refused!.spanId)
  expect(afterRefusal!.attributes).toMatchObject({
    'walhook.next': 'retry',
    'walhook.next_in_ms': expect.any(Number),
  })

  // W3C Trace Context: the version, the event's trace, the span of the request, sampled.
  const headers = receiver.arrivals.map(({ headers }) => headers.traceparent)
  const told = attempts.map(({ traceId, spanId }) => `00-${traceId}-${spanId}-01`)
  expect(headers.filter(header => header === undefined).length).toBeGreaterThanOrEqual(2)
  const arrived = headers.filter(header => header !== undefined)
  expect(arrived.length).toBeGreaterThanOrEqual(2)
  for (const header of arrived) expect(told).toContain(header)

  // Both processes have sent, as what the standard variables say; and nothing of a person or a secret.
  expect(collector.requests.every(({ path }) => path === '/v1/traces')).toBe(true)
  expect(collector.requests.every(({ authorization }) => authorization === 'Bearer collector-token')).toBe(
    true,
  )
  expect(new Set(collector.spans.map(({ resource }) => resource['service.name']))).toEqual(
    new Set(['our-walhook']),
  )
  const sent = collector.requests.map(({ body }) => body).join()
  for (const hidden of ['example.com', 'entity_id', 'secret-path', 'collector-token', 'whsec_'])
    expect(sent).not.toContain(hidden)
})

test('a batch is in the traces of up to a hundred of its events, and a test has its own trace', async () => {
  await using database = await createTestDatabase({ hasOutbox: true })
  await using collector = await startCollector()
  await using receiver = await startTestReceiver()
  await using psql = await connect(database.url)
  await psql.query(tables)
  await using walhook = startWalhook(database, {
    OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: `${collector.url}/own/path`,
    WALHOOK_ADMIN_USER: '1',
  })
  await walhook.ready()
  const batch = { max_events: 1000, max_wait_ms: 500 }
  const webhook = { name: 'CRM', url: receiver.url, triggers, batch, traceparent: true }
  const { id } = await walhook.api('POST', '/api/webhooks', webhook)
  await psql.query('insert into users select i from generate_series(1, 300) i')
  await until(async () => receiver.arrivals.length > 0 && (await readQueue(psql)).deliveries === 0, {
    what: 'the batches',
  })
  await walhook.api('POST', `/api/webhooks/${id}/test`, { user_id: '1' })
  await until(() => collector.spans.some(({ attributes }) => attributes['walhook.trigger'] === 'test'), {
    what: 'the span of the test',
  })

  const sentAsTest = receiver.arrivals.find(({ messageId }) => messageId.startsWith('test_'))!
  const [ofTest] = collector.spans.filter(({ attributes }) => attributes['walhook.trigger'] === 'test')
  expect(ofTest!.parentSpanId).toBeUndefined()
  expect(sentAsTest.headers.traceparent).toBe(`00-${ofTest!.traceId}-${ofTest!.spanId}-01`)

  await until(() => collector.spans.some(isOf('settle')), { what: 'a settlement' })
  expect(collector.spans.filter(isOf('append')).length).toBeGreaterThanOrEqual(100)
  for (const { headers, body } of receiver.arrivals.filter(one => one !== sentAsTest)) {
    const [, traceId, spanId] = String(headers.traceparent).split('-')
    const first = collector.spans.find(span => span.spanId === spanId)
    expect(first).toMatchObject({
      traceId,
      links: [],
      attributes: { 'walhook.events': JSON.parse(body).length },
    })
    const others = collector.spans.filter(({ links }) => links.some(link => link.spanId === spanId))
    expect(others.length).toBe(Math.min(100, JSON.parse(body).length) - 1)
    expect(new Set(others.map(other => other.traceId)).size).toBe(others.length)
  }
  expect(collector.requests.every(({ path }) => path === '/own/path')).toBe(true)
  expect(
    collector.spans.filter(isOf('attempt')).some(({ attributes }) => attributes['walhook.entity_id']),
  ).toBe(true)
})

test('sampled events are traced completely by all processes; others send no span, and their header is unsampled', async () => {
  await using database = await createTestDatabase({ hasOutbox: true })
  await using some = await startCollector()
  await using none = await startCollector()
  await using receiver = await startTestReceiver()
  await using psql = await connect(database.url)
  await psql.query(tables)
  const share = { OTEL_TRACES_SAMPLER: 'traceidratio', OTEL_TRACES_SAMPLER_ARG: '0.5' }
  await using capture = startWalhook(database, {
    ...{ OTEL_EXPORTER_OTLP_ENDPOINT: some.url, ...share, WALHOOK_ROLES: 'capture' },
  })
  await capture.logged('capture.state', { state: 'streaming' })
  {
    await using delivery = startWalhook(database, {
      ...{ OTEL_EXPORTER_OTLP_ENDPOINT: some.url, ...share, WALHOOK_ROLES: 'delivery,api' },
    })
    await delivery.ready()
    await delivery.api('POST', '/api/webhooks', {
      name: 'CRM',
      url: receiver.url,
      triggers,
      traceparent: true,
    })
    await psql.query('insert into users select i from generate_series(1, 40) i')
    await until(() => receiver.arrivals.length === 40, { what: '40 requests' })
    delivery.kill('SIGTERM')
    await delivery.exited
  }
  const sampled = receiver.arrivals.filter(({ headers }) => String(headers.traceparent).endsWith('-01'))
  expect(sampled.length).toBeGreaterThan(0)
  expect(sampled.length).toBeLessThan(40)
  // The one that was stopped has sent all it had; the other one sends within a second.
  await until(() => some.spans.filter(isOf('append')).length >= sampled.length, { what: 'the appends' })
  const tracesOf = (name: string) => some.spans.filter(isOf(name)).map(({ traceId }) => traceId)
  const told = sampled.map(({ headers }) => String(headers.traceparent).split('-')[1]!).toSorted()
  for (const name of ['capture', 'append', 'attempt', 'settle'])
    expect(tracesOf(name).toSorted()).toEqual(told)

  await using delivery = startWalhook(database, {
    OTEL_EXPORTER_OTLP_ENDPOINT: none.url,
    OTEL_TRACES_SAMPLER: 'always_off',
    WALHOOK_ROLES: 'delivery,api',
  })
  await delivery.ready()
  await psql.query(`update users set email = 'x' where id <= 3`)
  await until(() => receiver.arrivals.length === 43, { what: '3 more' })
  for (const { headers } of receiver.arrivals.slice(40))
    expect(headers.traceparent).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-00$/)
  delivery.kill('SIGTERM')
  expect(await delivery.exited).toMatchObject({ code: 0 })
  expect(none.requests).toEqual([])
})

test.each([
  ['is away', null],
  ['never answers', () => new Promise<number>(() => {})],
])('deliveries continue if the collector %s, and the shutdown is not delayed', async (_, answer) => {
  await using database = await createTestDatabase({ hasOutbox: true })
  await using collector = await startCollector(answer ?? undefined)
  if (answer === null) await collector[Symbol.asyncDispose]()
  await using receiver = await startTestReceiver()
  await using psql = await connect(database.url)
  await psql.query(tables)
  await using walhook = startWalhook(database, { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url })
  await walhook.ready()
  await walhook.api('POST', '/api/webhooks', { name: 'CRM', url: receiver.url, triggers, traceparent: true })
  // More spans than are kept in memory.
  await psql.query('insert into users select i from generate_series(1, 1500) i')
  await until(async () => receiver.arrivals.length === 1500 && (await readQueue(psql)).deliveries === 0, {
    what: '1500 requests',
  })
  if (answer === null) expect(await walhook.logged('tracing.spans_lost')).toMatchObject({ level: 'warn' })
  walhook.kill('SIGTERM')
  expect(await walhook.exited).toMatchObject({ code: 0 })
})

test('without an endpoint, tracing is not loaded, and no request has the header', async () => {
  await using database = await createTestDatabase({ hasOutbox: true })
  await using receiver = await startTestReceiver()
  await using psql = await connect(database.url)
  await psql.query(tables)
  await using walhook = startWalhook(database, {
    OTEL_TRACES_SAMPLER: 'of another program',
    NODE_DEBUG: 'esm',
  })
  await walhook.ready()
  await walhook.api('POST', '/api/webhooks', { name: 'CRM', url: receiver.url, triggers, traceparent: true })
  await psql.query('insert into users values (1)')
  await until(() => receiver.arrivals.length === 1, { what: 'the request' })
  expect(receiver.arrivals[0]!.headers).not.toHaveProperty('traceparent')
  const loaded = walhook.stderr()
  expect(loaded).toContain('node_modules/pino/')
  expect(loaded).not.toContain('node_modules/@opentelemetry/')
  expect(loaded).not.toContain('node_modules/nodemailer/')
})
