import { expect, onTestFinished, test, vi } from 'vitest'
import { openTestApi } from '../support/open-api.ts'
import { claim, settle, settlementOf } from '../support/sending.ts'

/** A webhook whose log holds `count` requests of `bytes` each, and some small ones before them. */
async function open(count: number, bytes: number) {
  const at = await openTestApi()
  onTestFinished(() => at[Symbol.asyncDispose]())
  const id = await at.webhook(['user.new'])
  await at.append(...Array.from({ length: count + 5 }, (_, i) => `user ${i + 1} new`))
  await at.outbox.pool.query(
    `update walhook.events set body = body || repeat(' ', $1) where entity_id::int > 5`,
    [bytes],
  )
  // At most 4 MB are claimed at once.
  for (let lanes = await claim(at, id); lanes.length > 0; lanes = await claim(at, id))
    for (const lane of lanes) await settle(at, settlementOf(lane))
  return { at, id }
}

/** What comes from the database, in bytes. */
function readBytes(at: Awaited<ReturnType<typeof openTestApi>>): () => number {
  let bytes = 0
  const count = (rows: unknown) => {
    bytes +=
      JSON.stringify(rows, (_, value) => (typeof value === 'bigint' ? String(value) : value))?.length ?? 0
  }
  at.outbox.pool.on('acquire', client => {
    const { query } = client as unknown as { query: (...args: unknown[]) => unknown }
    const spy = vi.spyOn(client, 'query').mockImplementation((...args: unknown[]) => {
      const last = args.at(-1)
      if (typeof last === 'function')
        args[args.length - 1] = (error: unknown, found?: { rows: unknown }) => {
          count(found?.rows)
          last(error, found)
        }
      const result = query.apply(client, args)
      void Promise.resolve(result as Promise<{ rows: unknown }>).then(
        found => count(found?.rows),
        () => {},
      )
      return result as never
    })
    at.outbox.pool.once('release', () => spy.mockRestore())
  })
  return () => bytes
}

test('a page of the log ends at 2 MB of bodies, with a cursor to the rest', async () => {
  const { at, id } = await open(12, 900_000)
  const pages: number[] = []
  const seen = new Set<string>()
  for (let cursor = ''; pages.length < 10; ) {
    const { json, text } = await at.call('GET', `/api/webhooks/${id}/log?limit=100${cursor}`)
    expect(text.length).toBeLessThan(2_500_000)
    pages.push(json.data.length)
    for (const one of json.data) {
      seen.add(one.id)
      expect(one.request.body).toContain('"entity_type":"user"')
    }
    if (json.next_cursor === null) break
    cursor = `&cursor=${json.next_cursor}`
  }
  expect(pages.length).toBeGreaterThanOrEqual(3)
  expect(seen.size).toBe(17)
})

test('a single request larger than a page is still shown', async () => {
  const { at, id } = await open(2, 5_000_000)
  const { json } = await at.call('GET', `/api/webhooks/${id}/log`)
  expect(json.data).toHaveLength(1)
  expect(json.data[0].request.body.length).toBeGreaterThan(5_000_000)
  expect(json.next_cursor).toBe(json.data[0].id)
})

test('a body too large to show is not read; the log, the attempt, the event and their pages show its size', async () => {
  const { at, id } = await open(2, 9_000_000)
  const bytes = readBytes(at)
  const { json } = await at.call('GET', `/api/webhooks/${id}/log`)
  expect(json.data).toHaveLength(7)
  const [large] = json.data
  expect(large).toMatchObject({ bodies_kept: true, request: { body: '' }, response: { status: 204 } })
  expect(large.too_large_bytes).toBeGreaterThan(9_000_000)
  expect(json.data[6]).not.toHaveProperty('too_large_bytes')
  expect(json.data[6].request.body).toContain('"entity_type":"user"')
  const { json: one } = await at.call('GET', `/api/webhooks/${id}/log/${large.id}`)
  expect(one).toMatchObject({ too_large_bytes: large.too_large_bytes, request: { body: '' } })
  const { json: event } = await at.call('GET', `/api/events/${large.event_id}`)
  expect(event).toMatchObject({ body: '', previous: null })
  expect(event.too_large_bytes).toBeGreaterThan(9_000_000)
  expect(bytes()).toBeLessThan(100_000)
})

test('the log reads no more bodies than a page has, and the list of events reads none', async () => {
  const { at, id } = await open(20, 900_000)
  const bytes = readBytes(at)
  await at.call('GET', `/api/webhooks/${id}/log?limit=100`)
  expect(bytes()).toBeGreaterThan(1_500_000)
  expect(bytes()).toBeLessThan(3_000_000)
  const before = bytes()
  const { json } = await at.call('GET', '/api/events?limit=100')
  expect(json.data).toHaveLength(25)
  expect(bytes() - before).toBeLessThan(20_000)
})
