import type { Socket } from 'node:net'
import { expect, test } from 'vitest'
import { openSender } from '../../src/delivery/sending/attempt.ts'
import { createGuard } from '../../src/delivery/sending/guard.ts'
import { createIdleLimits } from '../../src/delivery/sending/idle-limits.ts'
import { allowing } from '../domain/allowing.ts'
import { answer, startRawReceiver } from '../support/raw-receiver.ts'

function openTestSender() {
  const sender = openSender({
    guard: createGuard({ allow: allowing('127.0.0.0/8') }),
    deadlineMs: 3_000,
    connectTimeoutMs: 1_000,
    maxResponseBytes: 1_024,
  })
  return { ...sender, [Symbol.asyncDispose]: sender.close }
}

const never = new AbortController().signal
const requestTo = (port: number, body = '{}') => ({
  url: `http://127.0.0.1:${port}/`,
  headers: { 'content-length': String(body.length) },
  body,
})

/** How it closes after each answer, without a word of it in the answer. */
test.each<[string, (socket: Socket) => void]>([
  ['with the answer', socket => void socket.end('HTTP/1.1 204 No Content\r\n\r\n')],
  [
    'right behind the answer, by a reset',
    socket => void socket.write('HTTP/1.1 204 No Content\r\n\r\n', () => socket.resetAndDestroy()),
  ],
  [
    'a little later',
    socket => {
      answer(socket)
      setTimeout(() => socket.end(), 3)
    },
  ],
])(
  'a receiver that closes %s gets each of 300 requests once, and each is delivered',
  async (_, onRequest) => {
    await using receiver = await startRawReceiver({ onRequest })
    await using sender = openTestSender()
    const outcomes: string[] = []
    async function one() {
      for (let i = 0; i < 60; i++) outcomes.push((await sender.post(requestTo(receiver.port), never)).outcome)
    }
    await Promise.all([one(), one(), one(), one(), one()])
    expect(outcomes.filter(outcome => outcome !== 'delivered')).toEqual([])
    expect(receiver.requests()).toBe(300)
  },
)

test('twenty requests, one after another, use one connection if the receiver keeps it open', async () => {
  await using receiver = await startRawReceiver({ onRequest: socket => answer(socket) })
  await using sender = openTestSender()
  for (let i = 0; i < 20; i++) await sender.post(requestTo(receiver.port), never)
  expect(receiver.sockets).toHaveLength(1)
})

/** It answers when it has the first of the request, and reads nothing more of it. */
const answerEarly = (socket: Socket, head: string) => {
  socket.pause()
  answer(socket, head)
}

test.each([
  ['204 No Content', 5_000_000],
  ['204 No Content\r\nconnection: keep-alive', 900_000],
  ['413 Content Too Large\r\ncontent-length: 0', 900_000],
  ['413 Content Too Large\r\ncontent-length: 0', 20_000],
])(
  'after a response %s before %i bytes were read, the next request uses another connection',
  async (head, bytes) => {
    await using receiver = await startRawReceiver({
      onRequest: (socket, count) => (count === 1 ? answerEarly(socket, head) : answer(socket)),
    })
    await using sender = openTestSender()
    const first = await sender.post(requestTo(receiver.port, 'x'.repeat(bytes)), never)
    expect(first.response?.status).toBe(Number(head.slice(0, 3)))
    expect(await sender.post(requestTo(receiver.port), never)).toMatchObject({ outcome: 'delivered' })
    expect(receiver.sockets).toHaveLength(2)
  },
)

test("a receiver's idle timeout is remembered for a minute", () => {
  let now = 0
  const idleLimits = createIdleLimits(() => now)
  expect(idleLimits.doubtMs('a', 10)).toBe(20)
  idleLimits.keeps('a')
  expect(idleLimits.doubtMs('a', 10)).toBe(0)
  expect(idleLimits.isKept('a', 1e9)).toBe(true)
  idleLimits.closed('a', 2_000)
  expect([idleLimits.isKept('a', 1_000), idleLimits.isKept('a', 1_001)]).toEqual([true, false])
  idleLimits.closed('a', 3_000)
  expect(idleLimits.isKept('a', 1_001)).toBe(false)
  // Until it is forgotten, it is doubted, whatever it says.
  idleLimits.keeps('a')
  expect(idleLimits.doubtMs('a', 0)).toBe(30)
  now = 61_000
  expect(idleLimits.isKept('a', 1_001)).toBe(true)
  expect(idleLimits.isKept('b', 1e9)).toBe(true)
})
