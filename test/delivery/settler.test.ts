import { setTimeout as sleep } from 'node:timers/promises'
import { DatabaseError } from 'pg'
import { expect, test } from 'vitest'
import { createSettler } from '../../src/delivery/turn/settler.ts'
import type { AsideRow } from '../../src/outbox/aside/aside.ts'
import type { Settlement } from '../../src/outbox/settle/settle.ts'
import { until } from '../support/wait.ts'

const nothing = { isFenced: false, webhooksVersion: 0, left: [], disabled: [], recovered: [] }

/** A settler whose commits end when the test says so, on a clock that the test sets. */
function openSettler() {
  const batches: number[] = []
  const settled: number[] = []
  const errors: unknown[] = []
  let nowMs = 1_000
  let end: PromiseWithResolvers<void> | null = null
  const settler = createSettler({
    clockMs: () => nowMs,
    takeRows: () => ({ rows: [], left: [] }),
    async settle({ settlements }) {
      batches.push(settlements.length)
      end = Promise.withResolvers()
      await end.promise
      return nothing
    },
    log: { error: (...args: unknown[]) => errors.push(args) } as never,
    onSettled: ({ settlements }) => settled.push(settlements.length),
  })
  return {
    batches,
    settled,
    errors,
    settler,
    async push(count: number) {
      for (let i = 0; i < count; i++) settler.push({} as Settlement)
      await sleep(0)
    },
    /** The commit that is under way takes so long, and fails or not. */
    async commit(ms: number, error?: Error) {
      await until(() => end, { what: 'a commit to be under way' })
      nowMs += ms
      const { resolve, reject } = end!
      end = null
      if (error) reject(error)
      else resolve()
      await sleep(0)
    },
    pass(ms: number) {
      nowMs += ms
    },
  }
}

test('the first result is settled at once, those that end meanwhile together', async () => {
  const { batches, settled, push, commit } = openSettler()
  await push(1)
  expect(batches).toEqual([1])
  await push(30)
  expect(batches).toEqual([1])
  await commit(10)
  expect(settled).toEqual([1])
  expect(batches).toEqual([1, 30])
})

test('the settler rests as long as the commit took, and includes later results', async () => {
  const { batches, push, commit } = openSettler()
  await push(1)
  await push(2)
  await commit(10)
  expect(batches).toEqual([1])
  await push(3)
  await until(() => batches.length === 2, { what: 'the second commit' })
  expect(batches).toEqual([1, 5])
})

test('a rest that is over does not delay the next result', async () => {
  const { batches, push, commit, pass } = openSettler()
  await push(1)
  await commit(10)
  pass(10)
  await push(1)
  expect(batches).toEqual([1, 1])
})

test('a rest ends when enough results have come', async () => {
  const { batches, push, commit } = openSettler()
  await push(1)
  await push(1)
  await commit(1e9)
  await push(19)
  expect(batches).toEqual([1, 20])
})

test('a rest is bounded, however long the commit took', async () => {
  const { batches, push, commit } = openSettler()
  await push(1)
  await push(1)
  await commit(1e9)
  await until(() => batches.length === 2, { what: 'the second commit' })
})

test('a failed settlement is retried until it is given up', async () => {
  const { batches, settled, errors, settler, push, commit } = openSettler()
  await push(1)
  await commit(1, new Error('no database'))
  await until(() => batches.length === 2, { what: 'the second try' })
  expect([settled, errors.length]).toEqual([[], 1])
  await commit(1, new Error('no database'))
  settler.giveUp()
  await until(() => settled.length === 1, { what: 'the end' })
})

test('giving up skips the rest', async () => {
  const { settled, settler, push, commit } = openSettler()
  await push(1)
  await push(1)
  await commit(1e9)
  settler.giveUp()
  await sleep(0)
  expect(settled).toEqual([1, 1])
})

test('one unstorable result does not block others: it is found by halving, and stored without its response', async () => {
  const attempt = (eventId: number, body: string) => ({
    attempt: {
      webhookId: 1,
      eventId,
      request: {},
      response: { status: 200, headers: {}, body },
      errorMessage: null,
    },
  })
  const stored: { eventId: number; body: string }[] = []
  const done: number[] = []
  const settler = createSettler({
    clockMs: () => performance.now(),
    takeRows: () => ({ rows: [], left: [] }),
    async settle({ settlements }) {
      const attempts = settlements.map(each => each.attempt)
      if (attempts.some(({ response }) => response?.body === 'poison'))
        throw Object.assign(new DatabaseError('invalid byte sequence', 0, 'error'), { code: '22021' })
      stored.push(
        ...attempts.map(({ eventId, response }) => ({ eventId: Number(eventId), body: response!.body })),
      )
      return nothing
    },
    log: { error: () => {} } as never,
    onSettled: ({ settlements }) => done.push(settlements.length),
  })
  for (let i = 0; i < 30; i++)
    settler.push(attempt(i, i === 17 || i === 3 ? 'poison' : 'fine') as unknown as Settlement)
  await until(() => done.reduce((sum, n) => sum + n, 0) === 30, { what: 'all to be settled' })
  expect(stored.map(({ eventId }) => eventId).sort((a, b) => a - b)).toEqual([...Array(30).keys()])
  expect(stored.filter(({ body }) => body !== 'fine').map(({ eventId }) => eventId)).toEqual([3, 17])
  expect(stored.find(({ eventId }) => eventId === 3)!.body).toBe(
    '(walhook could not store this answer: 22021)',
  )
})

test('while rows always wait to be written, only the settlements of these rows wait with them', async () => {
  const result = (eventId: bigint) =>
    ({ shipment: { webhookId: 1, deliveries: [{ eventId }] } }) as unknown as Settlement
  const row = (eventId: bigint) => ({ webhookId: 1, eventId }) as AsideRow
  let left = [row(5n), row(6n)]
  const done: bigint[] = []
  const settler = createSettler({
    clockMs: () => performance.now(),
    takeRows: () => ({ rows: [], left }),
    settle: async () => nothing,
    log: { error: () => {} } as never,
    onSettled: ({ settlements }) =>
      done.push(...settlements.map(({ shipment }) => shipment.deliveries[0].eventId)),
  })
  for (const eventId of [4n, 5n, 7n]) settler.push(result(eventId))
  await until(() => done.length === 2, { what: 'the others to be settled' })
  expect(done).toEqual([4n, 7n])
  left = [row(6n)]
  settler.wanted()
  await until(() => done.length === 3, { what: 'the row to be settled once it is written' })
  expect(done).toEqual([4n, 7n, 5n])
})
