import { expect, test } from 'vitest'
import { openSender } from '../../src/delivery/sending/attempt.ts'
import { createGuard } from '../../src/delivery/sending/guard.ts'
import { alternating } from '../../src/delivery/sending/race.ts'
import { allowing } from '../domain/allowing.ts'
import { startDeafListener } from '../support/deaf-listener.ts'
import { answer, startRawReceiver } from '../support/raw-receiver.ts'

const never = new AbortController().signal

function openTestSender(addresses: string[], connectTimeoutMs = 5_000) {
  const guard = createGuard({ allow: allowing('127.0.0.0/8,hook.test'), resolve: async () => addresses })
  const sender = openSender({ guard, deadlineMs: 15_000, connectTimeoutMs, maxResponseBytes: 1_024 })
  return { ...sender, [Symbol.asyncDispose]: sender.close }
}
const requestTo = (port: number) => ({
  url: `http://hook.test:${port}/`,
  headers: { 'content-length': '2' },
  body: '{}',
})

test('five silent addresses and a refusing one do not block the one that responds', async () => {
  await using receiver = await startRawReceiver({ onRequest: socket => answer(socket) })
  const dead = ['127.0.0.2', '127.0.0.3', '127.0.0.4', '127.0.0.5', '127.0.0.6']
  await using deaf = new AsyncDisposableStack()
  for (const host of dead) deaf.use(await startDeafListener(receiver.port, host))
  await using sender = openTestSender([...dead, '127.0.0.7', '127.0.0.1'])
  expect(await sender.post(requestTo(receiver.port), never)).toMatchObject({
    outcome: 'delivered',
    remoteAddress: '127.0.0.1',
    phases: { dns: expect.any(Number), connect: expect.any(Number) },
  })
  expect(receiver.sockets).toHaveLength(1)
})

test('each of many dead addresses is tried within the connect timeout', async () => {
  await using receiver = await startRawReceiver({ onRequest: socket => answer(socket) })
  await using deaf = new AsyncDisposableStack()
  deaf.use(await startDeafListener(receiver.port, '127.0.0.2'))
  await using sender = openTestSender([...Array<string>(30).fill('127.0.0.2'), '127.0.0.1'], 2_000)
  expect(await sender.post(requestTo(receiver.port), never)).toMatchObject({ outcome: 'delivered' })
})

test('if all are dead, the error is the most specific one', async () => {
  await using receiver = await startRawReceiver({})
  const { port } = receiver
  await receiver[Symbol.asyncDispose]()
  await using sender = openTestSender(['::1', '127.0.0.1', '127.0.0.2'])
  expect(await sender.post({ ...requestTo(port), url: `https://hook.test:${port}/` }, never)).toMatchObject({
    outcome: 'unreachable',
    failure: { errorClass: 'connection_refused' },
  })
})

test("the address families alternate, starting with the first address's", () => {
  expect(alternating(['::1', '::2', '::3', '10.0.0.1', '10.0.0.2'])).toEqual([
    '::1',
    '10.0.0.1',
    '::2',
    '10.0.0.2',
    '::3',
  ])
  expect(alternating(['10.0.0.1', '::1', '::2', '::3'])).toEqual(['10.0.0.1', '::1', '::2', '::3'])
  expect(alternating(['10.0.0.1'])).toEqual(['10.0.0.1'])
})
