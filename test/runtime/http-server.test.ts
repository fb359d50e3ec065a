import type { RequestListener } from 'node:http'
import { connect, type Socket } from 'node:net'
import { expect, test } from 'vitest'
import { listenHttp } from '../../src/runtime/http-server.ts'
import { until } from '../support/wait.ts'

const answer: RequestListener = (_request, response) => void response.end('here')
const listen = async (port = 0, host = '127.0.0.1') => await listenHttp(answer, { host, port })

async function listening(port = 0) {
  const result = await listen(port)
  if (!result.ok) throw new Error(result.problem.found)
  return result.server
}

test('a server responds at the address that it reports', async () => {
  await using server = await listening()
  expect(server.url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/)
  expect(await (await fetch(server.url)).text()).toBe('here')
})

test('a taken port is a problem with its fix, not an exception', async () => {
  await using server = await listening()
  const port = Number(new URL(server.url).port)
  expect(await listen(port)).toEqual({
    ok: false,
    problem: {
      code: 'port_taken',
      what: 'PORT',
      found: `another program listens on 127.0.0.1, port ${port}`,
      mend: 'set PORT to a free port, or to 0 for any free one',
    },
  })
})

test('a foreign address is a problem of HOST', async () => {
  expect(await listen(0, '192.0.2.1')).toMatchObject({
    ok: false,
    problem: { what: 'HOST', found: expect.stringContaining('192.0.2.1') },
  })
})

test('disposing closes open connections, also during a response, and frees the port', async () => {
  const arrived = Promise.withResolvers<void>()
  const result = await listenHttp(
    () => {
      arrived.resolve()
    },
    { host: '127.0.0.1', port: 0 },
  )
  if (!result.ok) throw new Error(result.problem.found)
  const port = Number(new URL(result.server.url).port)
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => {}).write('GET / HTTP/1.1\r\nhost: x\r\n\r\n')
  const closed = new Promise(resolve => socket.once('close', resolve))
  await arrived.promise
  await result.server[Symbol.asyncDispose]()
  await closed
  await (await listening(port))[Symbol.asyncDispose]()
})

test.each<[string, string | null, number, string]>([
  ['two strangers', 'two', 256, 'one'],
  ['a stranger and a trusted proxy', null, 256, 'one'],
  ['a trusted proxy, whoever sends by it', null, 500, 'a proxy'],
])(
  'if %s hold all connections, a new one closes the oldest of the client with the most',
  async (_, other, count, loser) => {
    // In the order in which connections are made.
    const addresses: (string | null)[] = []
    const result = await listenHttp(answer, {
      host: '127.0.0.1',
      port: 0,
      keyOf: () => (addresses.length > 0 ? addresses.shift()! : 'somebody else'),
    })
    if (!result.ok) throw new Error(result.problem.found)
    await using server = result.server
    const port = Number(new URL(server.url).port)
    const opened: { socket: Socket; key: string }[] = []
    const hold = async (key: string | null, count: number) => {
      addresses.push(...Array<string | null>(count).fill(key))
      const sockets = await Promise.all(
        Array.from({ length: count }, () => {
          const socket = connect(port, '127.0.0.1').on('error', () => {})
          opened.push({ socket, key: key ?? 'a proxy' })
          socket.write('GET / HTTP/1.1\r\nhost: ')
          return new Promise<Socket>(resolve => socket.once('connect', () => resolve(socket)))
        }),
      )
      return sockets
    }
    const ended = (key: string) =>
      opened.filter(each => each.key === key && (each.socket.destroyed || each.socket.readableEnded)).length
    // More than half of all is nobody's, but for a proxy's.
    await hold('one', 512 - count + 44 * Number(count === 256))
    const before = 44 * Number(count === 256)
    await until(() => ended('one') === before, { what: 'those beyond half of all to be ended' })
    await hold(other, count)
    expect(await (await fetch(server.url, { headers: { connection: 'close' } })).text()).toBe('here')
    await until(() => ended(loser) === (loser === 'one' ? before : 0) + 1, { what: 'one to make room' })
    for (const { socket } of opened) socket.destroy()
  },
)

const get = 'GET / HTTP/1.1\r\nhost: x\r\n\r\n'

test('requests buffered on a closed connection are dropped', async () => {
  let seen = 0
  await using server = await serving(request => {
    seen++
    request.socket.destroy()
  })
  const socket = connect(Number(new URL(server.url).port), '127.0.0.1')
  const closed = new Promise(resolve => socket.on('error', () => {}).once('close', resolve))
  socket.write(get.repeat(2_000))
  await closed
  // What was in the same slice.
  expect(seen).toBeLessThan(200)
})

test('pipelined requests are answered in order, also by a slow handler', async () => {
  let seen = 0
  await using server = await serving((_request, response) => void response.end('x'.repeat(300_000) + seen++))
  const socket = connect(Number(new URL(server.url).port), '127.0.0.1')
  socket.pause()
  const requests = Array.from(
    { length: 8 },
    () => `GET / HTTP/1.1\r\nhost: x\r\ny: ${'y'.repeat(600)}\r\n\r\n`,
  )
  socket.write(requests.join(''))
  await until(() => seen > 0, { what: 'the first request' })
  let text = ''
  socket.on('data', bytes => {
    text += bytes
  })
  socket.resume()
  await until(() => text.endsWith('x7'), { what: 'the last answer' })
  expect([...text.matchAll(/x(\d)/g)].map(([, n]) => n).join('')).toBe('01234567')
  socket.destroy()
})

test('a body in many pieces is read completely', async () => {
  await using server = await serving(async (request, response) => {
    let bytes = 0
    for await (const chunk of request) bytes += (chunk as Buffer).length
    response.end(String(bytes))
  })
  const body = 'y'.repeat(300_000)
  expect(await (await fetch(server.url, { method: 'POST', body })).text()).toBe('300000')
})

async function serving(onRequest: RequestListener) {
  const result = await listenHttp(onRequest, { host: '127.0.0.1', port: 0 })
  if (!result.ok) throw new Error(result.problem.found)
  return result.server
}
