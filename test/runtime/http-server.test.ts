import type { RequestListener } from 'node:http'
import { connect } from 'node:net'
import { expect, test } from 'vitest'
import { listenHttp } from '../../src/runtime/http-server.ts'

const answer: RequestListener = (_request, response) => void response.end('here')
const listen = async (port = 0, host = '127.0.0.1') => await listenHttp(answer, { host, port })

async function listening(port = 0) {
  const result = await listen(port)
  if (!result.ok) throw new Error(result.problem.found)
  return result.server
}

test('a server answers at the address that it tells', async () => {
  await using server = await listening()
  expect(server.url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/)
  expect(await (await fetch(server.url)).text()).toBe('here')
})

test('a port that is taken is a problem that says what to do, and no throw', async () => {
  await using server = await listening()
  const port = Number(new URL(server.url).port)
  expect(await listen(port)).toEqual({
    ok: false,
    problem: {
      what: 'PORT',
      found: `${port} on 127.0.0.1 is taken by another program`,
      mend: 'set PORT to a free port, or to 0 for any',
    },
  })
})

test('an address that is not of this machine is a problem of HOST', async () => {
  expect(await listen(0, '192.0.2.1')).toMatchObject({
    ok: false,
    problem: { what: 'HOST', found: expect.stringContaining('192.0.2.1') },
  })
})

test('disposing ends the connections that clients hold open, also where an answer is on its way, and frees the port', async () => {
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
