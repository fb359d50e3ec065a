import { networkInterfaces } from 'node:os'
import { expect, test } from 'vitest'
import { formatSecret, sign } from '../../src/domain/webhook/signature.ts'
import { runWalhook, startCommand } from '../support/walhook-process.ts'

test('listen responds as configured, prints whether each signature is valid, and exits with 0', async () => {
  const key = Buffer.alloc(32, 5)
  await using listener = startCommand([
    'listen',
    '--port',
    '0',
    '--status',
    '503',
    '--secret',
    formatSecret(key),
    '--secret',
    '',
  ])
  const url = await listener.printed(/^Send webhooks to (\S+)\/ /)
  const body = '{"entity_id":1}'
  const timestampS = Math.floor(Date.now() / 1000)
  const headers = { 'webhook-id': 'msg_1_1', 'webhook-timestamp': String(timestampS) }
  const send = (secret: Buffer) => {
    const signature = sign({ id: 'msg_1_1', timestampS, body, secrets: [secret] })
    return fetch(url, { method: 'POST', body, headers: { ...headers, 'webhook-signature': signature } })
  }
  expect((await send(key)).status).toBe(503)
  await listener.printed(/ msg_1_1 signature valid, answered 503$/)
  expect((await send(Buffer.alloc(32, 6))).status).toBe(503)
  await listener.printed(/ msg_1_1 signature wrong \(.+\), answered 503$/)
  expect(listener.output).toContain(body)
  listener.kill('SIGTERM')
  expect(await listener.exited).toEqual({ code: 0, signal: null })
})

test.each([
  [['listen', '--secret', 'hunter2'], 1, /^walhook: not a signing secret: it is whsec_/],
  [['listen', '--delay', 'soon'], 2, /^walhook: --delay "soon" is not from 0/],
  [['listen', '--status', '2e2'], 2, /^walhook: --status "2e2" is not from 200/],
  [['listen', '--port', ''], 2, /^walhook: --port "" is not a port/],
])('%j ends with %d and repeats no secret', async (args, status, expected) => {
  const { code, stderr } = await runWalhook(null, args)
  expect(stderr).toMatch(expected)
  expect(stderr).not.toContain('hunter2')
  expect(stderr).not.toMatch(/^\s+at /m)
  expect(code).toBe(status)
})

test('listen on all addresses shows where other machines reach it', async () => {
  await using listener = startCommand(['listen', '--port', '0', '--host', '0.0.0.0'])
  const { port } = new URL(await listener.printed(/^Send webhooks to (\S+)\/ /))
  const other = Object.values(networkInterfaces())
    .flat()
    .find(one => one?.family === 'IPv4' && !one.internal)
  if (!other) return
  const url = `http://${other.address}:${port}/`
  expect(await listener.printed(/^From other machines and containers: (.+)/)).toContain(url)
  expect((await fetch(url)).status).toBe(200)
})

test('listen at a taken port ends with one line', async () => {
  await using first = startCommand(['listen', '--port', '0'])
  const { port } = new URL(await first.printed(/^Send webhooks to (\S+)\/ /))
  const { code, stderr } = await runWalhook(null, ['listen', '--port', port])
  expect(stderr).toBe(
    `walhook: Port ${port} on 127.0.0.1 is taken by another program. Stop that, or choose another port.\n`,
  )
  expect(code).toBe(1)
})
