import type { AddressInfo } from 'node:net'
import { createServer, type Socket } from 'node:net'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openTestApi } from '../support/open-api.ts'
import { until } from '../support/wait.ts'

/** Test calls to receivers that answer in every way a receiver can: 200 with the whole attempt, and in the log. */
let at: Awaited<ReturnType<typeof openTestApi>>
beforeAll(async () => {
  at = await openTestApi()
})
afterAll(() => at[Symbol.asyncDispose]())

async function startServer(answer: (socket: Socket) => void) {
  const sockets: Socket[] = []
  const server = createServer(socket => {
    sockets.push(socket.on('error', () => {}))
    socket.once('data', () => answer(socket))
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`,
    async [Symbol.asyncDispose]() {
      const closed = new Promise(resolve => server.close(resolve))
      for (const socket of sockets) socket.destroy()
      await closed
    },
  }
}

const answering =
  (head: string, body: Buffer | string = '') =>
  (socket: Socket) => {
    socket.write(`HTTP/1.1 ${head}\r\nconnection: close\r\n\r\n`, 'latin1')
    socket.end(body)
  }
const refused = { outcome: 'refused', error: { class: 'http_error' } }
const unreachable = (errorClass: string) => ({
  outcome: 'unreachable',
  error: { class: errorClass },
  response: null,
})

test.each<[string, (socket: Socket) => void, object]>([
  [
    'a body with NUL',
    answering('200 OK', 'a\0b'),
    { outcome: 'delivered', response: { status: 200, body: 'a\u{fffd}b' } },
  ],
  [
    'a body that is no UTF-8',
    answering('200 OK', Buffer.from([0xff, 0x61, 0xed, 0xa0, 0x80])),
    { response: { body: '\u{fffd}a\u{fffd}\u{fffd}\u{fffd}' } },
  ],
  [
    'more than is kept',
    answering('200 OK', 'x'.repeat(100_000)),
    { outcome: 'delivered', response: { body: 'x'.repeat(1_024), truncated: true } },
  ],
  [
    'a character cut in two by the bound',
    answering('200 OK', `${'x'.repeat(1_023)}\u00e9`),
    { response: { truncated: true } },
  ],
  [
    'headers named like properties of objects',
    answering('200 OK\r\nconstructor: a\r\n__proto__: b\r\ntoString: c\r\ntostring: d'),
    {
      response: {
        headers: JSON.parse('{"constructor":"a","__proto__":"b","tostring":"c, d","connection":"close"}'),
      },
    },
  ],
  [
    'headers in Latin-1',
    answering('200 OK\r\nx-city: Z\u00fcrich'),
    { outcome: 'delivered', response: { headers: { 'x-city': 'Z\u00fcrich' } } },
  ],
  [
    'cookies',
    answering('200 OK\r\nset-cookie: session=hunter2'),
    { response: { headers: { 'set-cookie': '[redacted]' } } },
  ],
  ['the status 999', answering('999 Odd'), { ...refused, response: { status: 999 } }],
  ['the status 410', answering('410 Gone'), { ...refused, response: { status: 410 } }],
  [
    'a redirect',
    answering('302 Found\r\nlocation: http://169.254.169.254/'),
    {
      outcome: 'refused',
      error: { class: 'redirect', message: expect.stringContaining('http://169.254.169.254/') },
    },
  ],
  ['what is no HTTP', socket => socket.end('SSH-2.0-OpenSSH_9.9\r\n'), unreachable('invalid_response')],
  ['the end of the connection', socket => socket.end(), unreachable('connection_reset')],
  ['a reset', socket => socket.resetAndDestroy(), unreachable('connection_reset')],
  ['nothing', () => {}, unreachable('timeout')],
  [
    'half of a body',
    socket => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf'),
    { outcome: 'unreachable', error: { class: 'timeout' } },
  ],
])('a receiver that answers with %s', async (_what, answer, expected) => {
  await using receiver = await startServer(answer)
  const webhook = { name: 'CRM', url: receiver.url, triggers: ['user.new'] }
  const { id } = (await at.call('POST', '/api/webhooks', webhook)).json
  const { status, json, text } = await at.call('POST', `/api/webhooks/${id}/test`)
  expect(status, text).toBe(200)
  expect(json).toMatchObject({ trigger: 'test', number: 1, next_attempt_at: null, ...expected })
  expect(text).not.toContain('hunter2')
  expect((await at.call('GET', `/api/webhooks/${id}/log`)).json).toEqual({ data: [json], next_cursor: null })
  expect((await at.call('GET', `/api/webhooks/${id}`)).json).toMatchObject({
    is_active: true,
    disabled_at: null,
  })
  expect(await at.queue()).toEqual([])
})

test('of many simultaneous tests a few reach the receiver; the others get Retry-After', async () => {
  let open = 0
  let max = 0
  const held: Socket[] = []
  await using server = await startServer(socket => {
    max = Math.max(max, ++open)
    socket.once('close', () => open--)
    held.push(socket)
  })
  const { id } = (
    await at.call('POST', '/api/webhooks', { name: 'slow', url: server.url, triggers: ['user.new'] })
  ).json
  const calls = Array.from({ length: 100 }, () => at.call('POST', `/api/webhooks/${id}/test`, { user_id: 7 }))
  const told: Awaited<(typeof calls)[number]>[] = []
  for (const call of calls) void call.then(answered => told.push(answered))
  await until(() => told.length === 95 && held.length === 5, { what: 'five tests to be under way' })
  expect(new Set(told.map(({ status }) => status))).toEqual(new Set([429]))
  expect(told[0]!.headers.get('retry-after')).toBe('5')
  expect(told[0]!.json.detail).toMatch(/tests .* are running/)
  expect(max).toBe(5)
  for (const socket of held) answering('204 No Content')(socket)
  const answers = await Promise.all(calls)
  expect(answers.filter(({ status }) => status === 200)).toHaveLength(5)
  // The places are free again.
  const again = at.call('POST', `/api/webhooks/${id}/test`, { user_id: 7 })
  await until(() => held.length === 6, { what: 'another test' })
  answering('204 No Content')(held[5]!)
  expect((await again).json).toMatchObject({ outcome: 'delivered' })
})
