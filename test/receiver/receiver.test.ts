import { connect } from 'node:net'
import { Webhook } from 'standardwebhooks'
import { afterEach, expect, test } from 'vitest'
import type { Received } from '../../src/receiver/received.ts'
import { type Receiver, type ReceiverOptions, startReceiver } from '../../src/receiver/receiver.ts'

const secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'
const otherSecret = 'whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD'
const body = '{"entity_id":1,"entity_type":"user","action_type":"update","result":{"id":1}}'

const open: Receiver[] = []
afterEach(async () => {
  for (const receiver of open.splice(0)) await receiver.close()
})

async function start(options: Partial<ReceiverOptions> = {}): Promise<Receiver> {
  const receiver = await startReceiver({ port: 0, secrets: () => [secret], ...options })
  open.push(receiver)
  return receiver
}

/** Signed by the stock library, `ageS` seconds ago. */
function signed(options: { id?: string; body?: string; secret?: string; ageS?: number } = {}) {
  const { id = 'msg_1_a', ageS = 0 } = options
  const text = options.body ?? body
  const at = new Date(Date.now() - ageS * 1000)
  return {
    body: text,
    headers: {
      'webhook-id': id,
      'webhook-timestamp': String(Math.floor(at.getTime() / 1000)),
      'webhook-signature': new Webhook(options.secret ?? secret).sign(id, at, text),
    } as Record<string, string>,
  }
}

async function send(
  receiver: Receiver,
  request: { body: string; headers?: Record<string, string> },
  path = '/',
) {
  const response = await fetch(receiver.url + path, { method: 'POST', ...request })
  await response.text()
  return response
}

async function verdictOf(receiver: Receiver, request: { body: string; headers?: Record<string, string> }) {
  await send(receiver, request)
  const { signature } = receiver.received.at(-1)!
  return signature.state === 'valid' ? 'valid' : `${signature.state}: ${signature.reason}`
}

test('takes a signed webhook on any path and shows it', async () => {
  const heard: Received[] = []
  const receiver = await start({ onReceived: one => heard.push(one) })
  const response = await send(receiver, signed(), '/some/path?x=1')
  expect(response.status).toBe(204)
  expect(receiver.received).toEqual(heard)
  expect(heard).toMatchObject([
    {
      number: 1,
      path: '/some/path?x=1',
      body,
      signature: { state: 'valid' },
      webhookId: 'msg_1_a',
      earlierArrivals: 0,
      entityType: 'user',
      entityId: '1',
      actionType: 'update',
      answeredStatus: 204,
    },
  ])
})

test('verifies the signature over the received bytes', async () => {
  const receiver = await start()
  expect(await verdictOf(receiver, signed({ body: 'Zoë 😀 not JSON' }))).toBe('valid')
  expect(await verdictOf(receiver, { ...signed(), body: `${body} ` })).toBe(
    'wrong: no signature was made with a known secret',
  )
  expect(await verdictOf(receiver, signed({ secret: otherSecret }))).toMatch(/^wrong/)
  expect(
    await verdictOf(receiver, { body, headers: { ...signed().headers, 'webhook-id': 'msg_1_b' } }),
  ).toMatch(/^wrong/)
})

test('refuses a timestamp more than five minutes away', async () => {
  const receiver = await start()
  expect(await verdictOf(receiver, signed({ ageS: 290 }))).toBe('valid')
  expect(await verdictOf(receiver, signed({ ageS: -290 }))).toBe('valid')
  expect(await verdictOf(receiver, signed({ ageS: 320 }))).toMatch(/^wrong: .* s in the past, over 300 s$/)
  expect(await verdictOf(receiver, signed({ ageS: -320 }))).toMatch(/^wrong: .* s in the future, over 300 s$/)
  for (const timestamp of ['1e9', 'soon', '1614265330.5', '0x60378432'])
    expect(
      await verdictOf(receiver, { body, headers: { ...signed().headers, 'webhook-timestamp': timestamp } }),
    ).toBe('wrong: webhook-timestamp is not a whole number of unix seconds')
})

test.each(['id', 'timestamp', 'signature'])('reports a missing webhook-%s', async name => {
  const request = signed()
  delete request.headers[`webhook-${name}`]
  expect(await verdictOf(await start(), request)).toBe(`wrong: there is no webhook-${name} header`)
})

test('accepts any of several secrets and any of several signatures', async () => {
  const receiver = await start({ secrets: () => [otherSecret, secret] })
  expect(await verdictOf(receiver, signed())).toBe('valid')
  expect(await verdictOf(receiver, signed({ secret: otherSecret }))).toBe('valid')

  const rotated = await start()
  const request = signed()
  const both = `${signed({ secret: otherSecret }).headers['webhook-signature']} v2,abc ${request.headers['webhook-signature']}`
  expect(await verdictOf(rotated, { body, headers: { ...request.headers, 'webhook-signature': both } })).toBe(
    'valid',
  )
})

test('reads the secrets at each request, and checks nothing without one', async () => {
  let secrets: string[] = []
  const receiver = await start({ secrets: () => secrets })
  expect(await verdictOf(receiver, { body })).toBe('unchecked: no secret was given')
  secrets = [secret]
  expect(await verdictOf(receiver, signed())).toBe('valid')
})

test('refuses an invalid secret and an impossible status', async () => {
  await expect(start({ secrets: () => ['hunter2'] })).rejects.toThrow(RangeError)
  await expect(start({ status: 99 })).rejects.toThrow('status is 99')
})

test('counts repetitions of a webhook-id', async () => {
  const receiver = await start()
  for (const id of ['a', 'b', 'a', 'a']) await send(receiver, signed({ id }))
  expect(receiver.received.map(one => one.earlierArrivals)).toEqual([0, 0, 1, 2])
  expect(await (await fetch(receiver.url)).text()).toContain('seen before: attempt again, arrival 3')
})

test('responds as configured', async () => {
  const receiver = await start({ status: 503, delayMs: 5 })
  expect((await send(receiver, signed())).status).toBe(503)
  expect(receiver.received[0]!.answeredStatus).toBe(503)
})

test('keeps the last 200 requests', async () => {
  const receiver = await start()
  for (let i = 1; i <= 203; i++) await send(receiver, signed({ id: `msg_${i}` }))
  expect(receiver.received).toHaveLength(200)
  expect(receiver.received[0]!.webhookId).toBe('msg_4')
  expect(receiver.received.at(-1)!.number).toBe(203)
})

test('refuses a body over 1 MiB, other methods and other pages', async () => {
  const receiver = await start()
  expect((await send(receiver, { body: 'x'.repeat(1024 * 1024 + 1) })).status).toBe(413)
  expect(receiver.received).toEqual([])
  expect((await send(receiver, { body: 'x'.repeat(1024 * 1024) })).status).toBe(204)
  const put = await fetch(receiver.url, { method: 'PUT', body })
  expect([put.status, put.headers.get('allow')]).toEqual([405, 'GET, HEAD, POST'])
  expect((await fetch(`${receiver.url}/nothing`)).status).toBe(404)
})

test('received data is escaped', async () => {
  const receiver = await start()
  const evil = `<script>alert(1)</script>"'&<img src=x onerror=alert(2)>`
  const request = signed({
    id: evil,
    body: JSON.stringify({ entity_id: evil, entity_type: evil, action_type: evil, result: { [evil]: evil } }),
  })
  await send(receiver, { ...request, headers: { ...request.headers, 'x-evil': evil } }, `/${evil}`)
  const response = await fetch(receiver.url)
  const page = await response.text()
  expect(page).not.toMatch(/<script>|<img/)
  expect(page.match(/<script/g)).toHaveLength(1)
  expect(page.split('&#60;script&#62;').length - 1).toBeGreaterThanOrEqual(7)
  const policy = response.headers.get('content-security-policy')!
  const nonce = /script-src 'nonce-([^']+)'/.exec(policy)![1]
  expect(policy).toContain(`default-src 'none'`)
  expect(page).toContain(`<script nonce="${nonce}">`)
  expect((await fetch(receiver.url)).headers.get('content-security-policy')).not.toContain(nonce)
})

test('shows the newest first, with all digits of numbers', async () => {
  const receiver = await start()
  await send(receiver, { body: '{"entity_id":9007199254740993,"n":[1.10, {}, []],"s":"a\\/b"}' })
  await send(receiver, signed({ id: 'msg_second' }))
  const page = await (await fetch(receiver.url)).text()
  expect(receiver.received[0]!.entityId).toBe('9007199254740993')
  expect(page.indexOf('msg_second')).toBeLessThan(page.indexOf('9007199254740993'))
  const pretty =
    '{\n  "entity_id": 9007199254740993,\n  "n": [\n    1.10,\n    {},\n    []\n  ],\n  "s": "a\\/b"\n}'
  expect(page).toContain(pretty.replaceAll('"', '&#34;'))
})

test('a body of nested brackets gives a small page', async () => {
  const receiver = await start()
  await send(receiver, { body: '['.repeat(32_000) + ']'.repeat(32_000) })
  expect((await (await fetch(receiver.url)).text()).length).toBeLessThan(5_000_000)
})

/** The lines of an event stream up to the first that `isLast` accepts. */
async function readEvents(response: Response, isLast: (text: string) => boolean): Promise<string> {
  let text = ''
  for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
    text += chunk
    if (isLast(text)) break
  }
  return text
}

test('sends each webhook to a live page, missed ones first', async () => {
  const receiver = await start()
  for (const id of ['msg_1', 'msg_2']) await send(receiver, signed({ id }))
  const run = /data-run="(\w+)" data-last="2"/.exec(await (await fetch(receiver.url)).text())![1]

  const stream = await fetch(`${receiver.url}/events?after=1`)
  expect(stream.headers.get('content-type')).toBe('text/event-stream')
  await send(receiver, signed({ id: 'msg_3' }))
  const text = await readEvents(stream, so => so.includes('msg_3') && so.endsWith('\n\n'))
  expect(text).toMatch(new RegExp(`^event: run\ndata: ${run}\n\nid: 2\n`))
  expect(text.match(/^id: .*/gm)).toEqual(['id: 2', 'id: 3'])

  const again = await fetch(`${receiver.url}/events?after=0`, { headers: { 'last-event-id': '2' } })
  expect((await readEvents(again, so => so.includes('msg_3'))).match(/^id: .*/gm)).toEqual(['id: 3'])
})

test('close ends live pages and pending requests', async () => {
  const arrived = Promise.withResolvers<void>()
  const receiver = await start({ delayMs: 60_000, onReceived: () => arrived.resolve() })
  const stream = await fetch(`${receiver.url}/events`)
  const waiting = send(receiver, signed())
  await arrived.promise
  await receiver.close()
  expect((await waiting).status).toBe(204)
  expect(await readEvents(stream, () => false)).toContain('event: run')
  await expect(fetch(receiver.url)).rejects.toThrow()
})

test('close does not wait for a client that never finishes', async () => {
  const receiver = await start()
  const socket = connect(receiver.port, '127.0.0.1').on('error', () => {})
  await new Promise<void>(resolve =>
    socket.write('POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nhalf', () => resolve()),
  )
  // An answered request shows that the server has read what was sent before it.
  await send(receiver, signed())
  const closed = new Promise(resolve => socket.on('close', resolve))
  await receiver.close()
  await closed
})

test('a request line that is not an address does not end the receiver', async () => {
  const receiver = await start()
  for (const target of ['//', '/events?after=%zz', 'http://[', '*']) {
    const socket = connect(receiver.port, '127.0.0.1')
    socket.write(`GET ${target} HTTP/1.1\r\nhost: x\r\n\r\n`)
    await new Promise(resolve => socket.once('data', resolve))
    socket.destroy()
  }
  expect((await send(receiver, signed())).status).toBe(204)
})

test('a taken port is one clear error', async () => {
  const { port } = await start()
  await expect(start({ port })).rejects.toThrow(
    `Port ${port} on 127.0.0.1 is taken by another program. Stop that, or choose another port.`,
  )
})
