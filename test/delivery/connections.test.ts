import { once } from 'node:events'
import { afterEach, expect, test, vi } from 'vitest'
import { openSender } from '../../src/delivery/sending/attempt.ts'
import { openConnections } from '../../src/delivery/sending/connections.ts'
import { createGuard } from '../../src/delivery/sending/guard.ts'
import { allowing } from '../domain/allowing.ts'
import { answer, startRawReceiver } from '../support/raw-receiver.ts'
import { until } from '../support/wait.ts'

afterEach(() => {
  vi.restoreAllMocks()
  vi.useRealTimers()
})

function openTestSender() {
  const guard = createGuard({ allow: allowing('127.0.0.0/8'), resolve: async () => ['127.0.0.1'] })
  const sender = openSender({ guard, deadlineMs: 10_000, connectTimeoutMs: 2_000, maxResponseBytes: 1_024 })
  return { ...sender, [Symbol.asyncDispose]: sender.close }
}

const never = new AbortController().signal
const requestTo = (port: number) => ({
  url: `http://127.0.0.1:${port}/`,
  headers: { 'content-length': '2' },
  body: '{}',
})

test('at most five hundred idle connections to one receiver are kept, and all of them are closed later', async () => {
  const wanted = 505
  await using receiver = await startRawReceiver({
    onRequest: (_, count) => count % wanted === 0 && receiver.sockets.forEach(socket => void answer(socket)),
  })
  const open = () => receiver.sockets.filter(socket => !socket.destroyed).length
  await using sender = openTestSender()
  for (let round = 0; round < 2; round++) {
    const posts = Array.from({ length: wanted }, () => sender.post(requestTo(receiver.port), never))
    expect(new Set((await Promise.all(posts)).map(({ outcome }) => outcome))).toEqual(new Set(['delivered']))
  }
  expect(receiver.sockets.length).toBeGreaterThanOrEqual(wanted + 5)
  await until(() => open() === 0, { what: 'all to be closed, since nobody needs them' })
})

test('at most six hundred idle connections are kept in all', async () => {
  const guard = createGuard({ allow: allowing('127.0.0.0/8') })
  const connections = openConnections({ guard, connectTimeoutMs: 2_000 })
  const origins = Array.from({ length: 7 }, (_, i) => `http://127.0.0.1:${i + 1}`)
  const taken = origins.flatMap(origin => Array.from({ length: 90 }, () => connections.take(origin)))
  for (const connection of taken) connections.giveBack(connection)
  const again = new Set(origins.flatMap(origin => Array.from({ length: 90 }, () => connections.take(origin))))
  expect(taken.filter(connection => again.has(connection))).toHaveLength(600)
  await connections.close()
})

test('an idle connection is closed after half a minute, whatever Keep-Alive says', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  await using receiver = await startRawReceiver({
    onRequest: socket =>
      answer(socket, '200 OK\r\nconnection: keep-alive\r\nkeep-alive: timeout=3600\r\ncontent-length: 0'),
  })
  await using sender = openTestSender()
  expect(await sender.post(requestTo(receiver.port), never)).toMatchObject({ outcome: 'delivered' })
  const [socket] = receiver.sockets
  await vi.advanceTimersByTimeAsync(20_000)
  expect(socket!.destroyed).toBe(false)
  const closed = once(socket!, 'close')
  await vi.advanceTimersByTimeAsync(12_000)
  await closed
})

test('a connection is replaced after a minute, so that it follows DNS', async () => {
  await using receiver = await startRawReceiver({ onRequest: socket => answer(socket) })
  await using sender = openTestSender()
  await sender.post(requestTo(receiver.port), never)
  const now = performance.now.bind(performance)
  vi.spyOn(performance, 'now').mockImplementation(() => now() + 61_000)
  expect(await sender.post(requestTo(receiver.port), never)).toMatchObject({ outcome: 'delivered' })
  expect(receiver.sockets).toHaveLength(2)
  await until(() => receiver.sockets[0]!.destroyed, { what: 'the old connection to be closed' })
})

test('closing ends idle connections and those in flight', async () => {
  await using receiver = await startRawReceiver({
    onRequest: (socket, count) => count === 1 && answer(socket),
  })
  const sender = openTestSender()
  await sender.post(requestTo(receiver.port), never)
  const cut = [sender.post(requestTo(receiver.port), never), sender.post(requestTo(receiver.port), never)]
  await until(() => receiver.requests() === 3, { what: 'both requests' })
  await sender.close()
  for (const { outcome } of await Promise.all(cut)) expect(outcome).toBe('unreachable')
  // Not even what a kept connection lost is sent again.
  expect(receiver.requests()).toBe(3)
  await until(() => receiver.sockets.every(socket => socket.destroyed), {
    what: 'every connection to be closed',
  })
})
