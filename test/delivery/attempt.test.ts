import { once } from 'node:events'
import type { AddressInfo, Socket } from 'node:net'
import { connect as connectTcp, createServer as createTcpServer } from 'node:net'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { openSender } from '../../src/delivery/sending/attempt.ts'
import { createGuard } from '../../src/delivery/sending/guard.ts'
import { allowing } from '../domain/allowing.ts'
import { type Identity, makeAuthority, selfSigned } from '../support/certificates.ts'
import { answer, startRawReceiver } from '../support/raw-receiver.ts'
import { until } from '../support/wait.ts'

const deadlineMs = 1_500
const maxResponseBytes = 1_024

/** `resolve` stands for DNS. */
function openTestSender(resolve: (hostname: string) => Promise<string[]> = async () => ['127.0.0.1']) {
  const guard = createGuard({
    allow: allowing('127.0.0.0/8,hook.test,other.test'),
    resolve,
    resolveTimeoutMs: 300,
  })
  const sender = openSender({ guard, deadlineMs, connectTimeoutMs: 500, maxResponseBytes })
  return { ...sender, [Symbol.asyncDispose]: sender.close }
}

const overdue = { outcome: 'unreachable', failure: { errorClass: 'timeout' }, response: null }
const never = new AbortController().signal
const requestTo = (url: string) => ({ url, headers: { 'content-length': '2' }, body: '{}' })

test('a connection is opened once and kept, and reports its address and the time of each phase', async () => {
  await using receiver = await startRawReceiver({ onRequest: socket => answer(socket) })
  await using sender = openTestSender()
  const url = `http://hook.test:${receiver.port}/`
  const first = await sender.post(requestTo(url), never)
  const second = await sender.post(requestTo(url), never)
  expect(first).toMatchObject({ outcome: 'delivered', remoteAddress: '127.0.0.1' })
  expect(Object.keys(first.phases)).toEqual(['dns', 'connect', 'first_byte', 'body'])
  expect(second).toMatchObject({ outcome: 'delivered', remoteAddress: '127.0.0.1' })
  expect(Object.keys(second.phases)).toEqual(['first_byte', 'body'])
  for (const { phases, durationMs } of [first, second])
    expect(Object.values(phases).reduce((sum, ms) => sum + ms, 0)).toBeLessThanOrEqual(durationMs + 1)
  expect(receiver.sockets).toHaveLength(1)
})

test('simultaneous requests use one connection each', async () => {
  await using receiver = await startRawReceiver({
    onRequest: (_, count) => count === 3 && receiver.sockets.forEach(socket => void answer(socket)),
  })
  await using sender = openTestSender()
  const posts = [1, 2, 3].map(() => sender.post(requestTo(`http://127.0.0.1:${receiver.port}/`), never))
  expect((await Promise.all(posts)).map(({ outcome }) => outcome)).toEqual(Array(3).fill('delivered'))
  expect(receiver.sockets).toHaveLength(3)
})

test('a kept connection that the receiver has closed costs no attempt', async () => {
  await using receiver = await startRawReceiver({ onRequest: socket => answer(socket) })
  await using sender = openTestSender()
  const url = `http://127.0.0.1:${receiver.port}/`
  for (let i = 0; i < 2; i++)
    expect(await sender.post(requestTo(url), never)).toMatchObject({ outcome: 'delivered' })
  expect(receiver.sockets).toHaveLength(1)
  // Nothing here has heard of the end yet.
  const [socket] = receiver.sockets
  await Promise.all([once(socket!, 'close'), socket!.destroy()])
  expect(await sender.post(requestTo(url), never)).toMatchObject({ outcome: 'delivered' })
  expect(receiver.sockets).toHaveLength(2)
  expect(receiver.requests()).toBe(3)
})

test('a request lost on a kept connection is not repeated within the attempt, because it may have been read', async () => {
  await using receiver = await startRawReceiver({
    onRequest: (socket, count) => (count === 2 ? socket.destroy() : answer(socket)),
  })
  await using sender = openTestSender()
  const url = `http://127.0.0.1:${receiver.port}/`
  expect(await sender.post(requestTo(url), never)).toMatchObject({ outcome: 'delivered' })
  expect(await sender.post(requestTo(url), never)).toMatchObject({
    outcome: 'unreachable',
    failure: { errorClass: 'connection_reset' },
  })
  expect(receiver.requests()).toBe(2)
})

test('an unrequested response does not count as a lost connection, and the request is not repeated', async () => {
  await using receiver = await startRawReceiver({
    onRequest: (socket, count) => answer(socket, count === 1 ? '204 No Content' : '100 Continue'),
  })
  await using sender = openTestSender()
  const url = `http://127.0.0.1:${receiver.port}/`
  await sender.post(requestTo(url), never)
  expect(await sender.post(requestTo(url), never)).toMatchObject({
    failure: { errorClass: 'invalid_response' },
  })
  expect(receiver.requests()).toBe(2)
})

test('a new connection that closes without a response is a failed attempt, and is not retried at once', async () => {
  await using receiver = await startRawReceiver({ onRequest: socket => socket.destroy() })
  await using sender = openTestSender()
  expect(await sender.post(requestTo(`http://127.0.0.1:${receiver.port}/`), never)).toMatchObject({
    outcome: 'unreachable',
    failure: { errorClass: 'connection_reset' },
    response: null,
  })
  expect(receiver.requests()).toBe(1)
})

test('a name is resolved and checked again before every connection', async () => {
  await using receiver = await startRawReceiver({
    onRequest: socket => answer(socket, '204 No Content\r\nconnection: close'),
  })
  const answers = [['127.0.0.1'], ['169.254.169.254'], ['10.0.0.1', '127.0.0.1']]
  let asked = 0
  await using sender = openTestSender(async () => answers[asked++]!)
  const url = `http://hook.test:${receiver.port}/`
  expect((await sender.post(requestTo(url), never)).outcome).toBe('delivered')
  expect(await sender.post(requestTo(url), never)).toMatchObject({
    outcome: 'blocked',
    failure: { errorClass: 'blocked_target', message: expect.stringContaining('169.254.169.254') },
    remoteAddress: null,
    phases: { dns: expect.any(Number) },
  })
  expect(receiver.sockets).toHaveLength(1)
})

test('a connection serves only the host that it was opened for', async () => {
  await using receiver = await startRawReceiver({ onRequest: socket => answer(socket) })
  await using sender = openTestSender()
  await sender.post(requestTo(`http://hook.test:${receiver.port}/`), never)
  await sender.post(requestTo(`http://other.test:${receiver.port}/`), never)
  expect(receiver.sockets).toHaveLength(2)
})

const trickle = (socket: Socket, text: string) => {
  let at = 0
  const timer = setInterval(() => socket.write(text[at++ % text.length]!), 20)
  socket.once('close', () => clearInterval(timer))
}

/** Without end, but not without a breath: the sender shares its thread with this receiver. */
const flood = (socket: Socket, block: string | Buffer) => {
  if (socket.writable) socket.write(block, () => setImmediate(flood, socket, block))
}

/** What it does with a request, and what becomes of the attempt. In each case the connection is ended. */
test.each<[string, (socket: Socket) => void, object]>([
  [
    'sends its head byte by byte and never ends',
    socket =>
      trickle(
        socket,
        'HTTP/1.1 200 OK\r\nx-a: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa',
      ),
    { outcome: 'unreachable', failure: { errorClass: 'timeout' }, response: null },
  ],
  [
    'sends its body byte by byte and never ends',
    socket => {
      answer(socket, '200 OK\r\ncontent-length: 1000')
      trickle(socket, 'x')
    },
    { outcome: 'unreachable', failure: { errorClass: 'timeout' }, response: { status: 200 } },
  ],
  [
    'never ends its header fields',
    socket => {
      socket.write('HTTP/1.1 200 OK\r\n')
      flood(socket, 'x-a: b\r\n'.repeat(100))
    },
    { outcome: 'unreachable', failure: { errorClass: 'invalid_response' }, response: null },
  ],
  [
    'sends without end',
    socket => {
      answer(socket, '200 OK\r\ncontent-length: 10737418240')
      const block = Buffer.alloc(65_536, 'y')
      flood(socket, block)
    },
    { outcome: 'delivered', response: { body: 'y'.repeat(maxResponseBytes), truncated: true } },
  ],
  [
    'sends a compressed bomb',
    socket => answer(socket, '200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 20', 'x'.repeat(20)),
    { outcome: 'delivered', response: { body: 'x'.repeat(20), headers: { 'content-encoding': 'gzip' } } },
  ],
  [
    'closes in the middle of its body',
    socket => {
      answer(socket, '200 OK\r\ncontent-length: 100', 'half')
      socket.end()
    },
    {
      outcome: 'unreachable',
      failure: { errorClass: 'connection_reset' },
      response: { status: 200, body: 'half' },
    },
  ],
  [
    'says fewer bytes than it sends',
    socket => answer(socket, '200 OK\r\ncontent-length: 2', 'much more'),
    { outcome: 'delivered', response: { body: 'mu' } },
  ],
  [
    'has two content-lengths',
    socket => answer(socket, '200 OK\r\ncontent-length: 2\r\ncontent-length: 3', 'abc'),
    { outcome: 'unreachable', failure: { errorClass: 'invalid_response' } },
  ],
  [
    'floods with interim answers',
    socket => {
      flood(socket, 'HTTP/1.1 103 Early Hints\r\n\r\n'.repeat(50))
    },
    {
      outcome: 'unreachable',
      failure: { errorClass: 'invalid_response', message: expect.stringContaining('interim answers') },
      response: null,
    },
  ],
  [
    'sends a few interim answers first',
    socket => {
      for (let i = 0; i < 3; i++) answer(socket, '103 Early Hints\r\nlink: </a>')
      answer(socket, '200 OK\r\ncontent-length: 2', 'ok')
    },
    { outcome: 'delivered', response: { status: 200, body: 'ok' } },
  ],
  ...['100 Continue', '101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: a'].map(
    (head): [string, (socket: Socket) => void, object] => [
      `answers ${head.slice(0, 3)}, which was not asked for`,
      socket => answer(socket, head),
      {
        outcome: 'unreachable',
        failure: {
          errorClass: 'invalid_response',
          message: expect.stringContaining(`The receiver answered ${head.slice(0, 3)}`),
        },
        response: null,
      },
    ],
  ),
  ...['000 Nothing', '099 Odd'].map((head): [string, (socket: Socket) => void, object] => [
    `answers ${head.slice(0, 3)}, which is no status`,
    socket => answer(socket, head),
    {
      outcome: 'unreachable',
      failure: {
        errorClass: 'invalid_response',
        message: expect.stringContaining(`the status ${head.slice(0, 3)}`),
      },
      response: null,
    },
  ]),
  ...[
    'content-length: 2\r\nContent-Length: 2',
    'content-length: 2, 2',
    'content-length: 2\r\nx: y\r\ncontent-length : 2,2',
  ].map((fields): [string, (socket: Socket) => void, object] => [
    `says its content-length twice, and the same (${JSON.stringify(fields)})`,
    socket => answer(socket, `200 OK\r\n${fields}`, 'ok'),
    { outcome: 'delivered', response: { status: 200, body: 'ok' } },
  ]),
  [
    'says a content-length beside chunks',
    socket =>
      answer(socket, '200 OK\r\ncontent-length: 99\r\ntransfer-encoding: chunked', '2\r\nok\r\n0\r\n\r\n'),
    { outcome: 'delivered', response: { body: 'ok' } },
  ],
  [
    'sends its head in pieces, with an interim answer before',
    socket => {
      socket.write('HTT')
      const rest = [
        'P/1.1 103 Early',
        ' Hints\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r',
        '\ncontent-length: 2\r\n\r',
        '\no',
        'k',
      ]
      const timer = setInterval(() => {
        socket.write(rest.shift()!)
        if (rest.length === 0) clearInterval(timer)
      }, 10)
    },
    { outcome: 'delivered', response: { status: 200, body: 'ok', headers: { 'content-length': '2' } } },
  ],
  [
    'says more bytes than it sends, and leaves the connection open',
    socket => answer(socket, '200 OK\r\ncontent-length: 100', 'half'),
    { outcome: 'unreachable', failure: { errorClass: 'timeout' }, response: { status: 200, body: 'half' } },
  ],
  [
    'has no end to its status line',
    socket => {
      socket.write('HTTP/1.1 200 ')
      const block = Buffer.alloc(65_536, 'y')
      flood(socket, block)
    },
    { outcome: 'unreachable', response: null },
  ],
  [
    'sends trailer fields without end',
    socket => {
      answer(socket, '200 OK\r\ntransfer-encoding: chunked', '0\r\n')
      flood(socket, 'x-a: b\r\n'.repeat(100))
    },
    { outcome: 'unreachable', failure: { errorClass: 'invalid_response' }, response: { status: 200 } },
  ],
  [
    'ends the connection in the middle of its answer',
    socket => {
      answer(socket, '200 OK\r\ntransfer-encoding: chunked', '2\r\nhi\r\n')
      socket.end()
    },
    {
      outcome: 'unreachable',
      failure: {
        errorClass: 'connection_reset',
        message: expect.stringContaining('in the middle of its answer'),
      },
      response: { status: 200, body: 'hi' },
    },
  ],
  [
    'has a chunk whose size is no number',
    socket => answer(socket, '200 OK\r\ntransfer-encoding: chunked', 'zz\r\n'),
    { outcome: 'unreachable', failure: { errorClass: 'invalid_response' } },
  ],
  [
    'sends bytes of all kinds',
    socket => socket.write(Buffer.from(Array.from({ length: 4_096 }, (_, i) => (i * 167) & 0xff))),
    { outcome: 'unreachable', failure: { errorClass: 'invalid_response' }, response: null },
  ],
  [
    'speaks no HTTP',
    socket => socket.write('220 smtp.example.com ESMTP\r\n'),
    { outcome: 'unreachable', failure: { errorClass: 'invalid_response' }, response: null },
  ],
  [
    'redirects to itself',
    socket => answer(socket, '307 Temporary Redirect\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0'),
    {
      outcome: 'refused',
      failure: { errorClass: 'redirect', message: expect.stringContaining('127.0.0.1:1') },
    },
  ],
  [
    'answers by HTTP/1.0, whose end is the end of the connection',
    socket => socket.end('HTTP/1.0 200 OK\r\n\r\nold'),
    { outcome: 'delivered', response: { status: 200, body: 'old' } },
  ],
])('a receiver that %s', async (_, onRequest, expected) => {
  await using receiver = await startRawReceiver({
    onRequest: (socket, count) => (count === 1 ? onRequest(socket) : answer(socket)),
  })
  await using sender = openTestSender()
  const url = `http://127.0.0.1:${receiver.port}/`
  const result = await sender.post(requestTo(url), never)
  expect(result).toMatchObject(expected)
  expect(result.durationMs).toBeLessThan(2 * deadlineMs)
  // What comes after is a request like any other, whatever was left on the connection before.
  expect(await sender.post(requestTo(url), never)).toMatchObject({
    outcome: 'delivered',
    response: { status: 204 },
  })
})

test('a receiver that never responds exceeds the deadline, and an attempt that walhook cuts off is cancelled', async () => {
  await using receiver = await startRawReceiver({})
  await using sender = openTestSender()
  const url = `http://127.0.0.1:${receiver.port}/`
  const stop = new AbortController()
  const [late, cut] = [sender.post(requestTo(url), never), sender.post(requestTo(url), stop.signal)]
  stop.abort()
  expect(await cut).toMatchObject({ outcome: 'cancelled', failure: null })
  expect(await late).toMatchObject({
    outcome: 'unreachable',
    failure: { errorClass: 'timeout' },
    phases: { connect: expect.any(Number), first_byte: expect.closeTo(deadlineMs, -3) },
  })
  expect(await sender.post(requestTo(url), stop.signal)).toMatchObject({ outcome: 'cancelled' })
})

test('requests that share a signal have their own deadlines, also after all earlier ones have ended', async () => {
  await using receiver = await startRawReceiver({ onRequest() {} })
  await using sender = openTestSender()
  const post = () => sender.post(requestTo(`http://127.0.0.1:${receiver.port}/`), never)
  const first = post()
  await until(() => receiver.requests() === 1, { what: 'the first request' })
  const ended = [...(await Promise.all([first, post()])), await post()]
  for (const { durationMs, ...rest } of ended) {
    expect(rest).toMatchObject(overdue)
    expect(durationMs).toBeGreaterThanOrEqual(deadlineMs)
  }
})

test('response headers may have any names, and repeated ones are joined', async () => {
  await using receiver = await startRawReceiver({
    onRequest: socket =>
      answer(
        socket,
        '204 No Content\r\nconstructor: a\r\n__proto__: b\r\nX-Twice: 1\r\nx-twice: 2\r\nset-cookie: a=1\r\nSet-Cookie: b=2',
      ),
  })
  await using sender = openTestSender()
  const { response } = await sender.post(requestTo(`http://127.0.0.1:${receiver.port}/`), never)
  expect(Object.entries(response!.headers)).toEqual([
    ['constructor', 'a'],
    ['__proto__', 'b'],
    ['x-twice', '1, 2'],
    ['set-cookie', '[redacted], [redacted]'],
  ])
})

test('a process that was suspended past the deadline sends nothing when it resumes', async () => {
  await using receiver = await startRawReceiver({ onRequest: socket => answer(socket) })
  await using sender = openTestSender()
  const url = `http://127.0.0.1:${receiver.port}/`
  // As SIGSTOP does: the connection is made meanwhile, and what it brings is handled before any timer.
  const ends: Socket[] = []
  const pair = createTcpServer(socket => ends.push(socket)).listen(0, '127.0.0.1')
  await once(pair, 'listening')
  const other = connectTcp((pair.address() as AddressInfo).port, '127.0.0.1')
  await Promise.all([once(pair, 'connection'), once(other, 'connect')])
  other.on('data', () => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, deadlineMs + 100))
  await new Promise(setImmediate)
  ends[0]!.write('now')
  const late = sender.post(requestTo(url), never)
  expect(await late).toMatchObject({
    outcome: 'unreachable',
    failure: { errorClass: 'timeout' },
    response: null,
  })
  expect(await sender.post(requestTo(url), never)).toMatchObject({ outcome: 'delivered' })
  expect(receiver.requests()).toBe(1)
  other.destroy()
  pair.close()
})

test.each<[string, number, () => boolean, object]>([
  [
    'the machine stood still past the deadline, and its monotonic clock with it',
    deadlineMs + 100,
    () => true,
    overdue,
  ],
  ['the clock of the day was set back', -3_600_000, () => true, { outcome: 'cancelled', failure: null }],
  ['another process may have taken over', 0, () => false, { outcome: 'cancelled', failure: null }],
])('if %s while connecting, no byte is sent', async (_what, jumpMs, mayBegin, expected) => {
  const bytes: Buffer[] = []
  await using receiver = await startRawReceiver({
    onConnection: socket => void socket.on('data', data => bytes.push(data)),
    onRequest: socket => answer(socket),
  })
  const real = Date.now
  onTestFinished(() => void Object.assign(Date, { now: real }))
  await using sender = openTestSender(async () => {
    Object.assign(Date, { now: () => real() + jumpMs })
    return ['127.0.0.1']
  })
  const url = `http://hook.test:${receiver.port}/`
  expect(await sender.post(requestTo(url), never, mayBegin)).toMatchObject(expected)
  await until(() => receiver.sockets[0]?.closed, { what: 'the connection to be closed' })
  expect(Buffer.concat(bytes).toString()).toBe('')
})

test('no byte is sent over a kept connection once another process may have taken over', async () => {
  await using receiver = await startRawReceiver({ onRequest: socket => answer(socket) })
  await using sender = openTestSender()
  const url = `http://127.0.0.1:${receiver.port}/`
  expect(await sender.post(requestTo(url), never)).toMatchObject({ outcome: 'delivered' })
  expect(await sender.post(requestTo(url), never, () => false)).toMatchObject({ outcome: 'cancelled' })
  await until(() => receiver.sockets[0]?.closed, { what: 'the connection to be closed' })
  expect(receiver.requests()).toBe(1)
})

test('a port without a listener fails as refused', async () => {
  const gone = await startRawReceiver({})
  await gone[Symbol.asyncDispose]()
  await using sender = openTestSender()
  expect(await sender.post(requestTo(`http://127.0.0.1:${gone.port}/`), never)).toMatchObject({
    outcome: 'unreachable',
    failure: { errorClass: 'connection_refused' },
    // Where it was tried, and in which phase it ended.
    remoteAddress: '127.0.0.1',
    phases: { connect: expect.any(Number) },
  })
})

let authority: Awaited<ReturnType<typeof makeAuthority>>
const usual = getCACertificates('default')
beforeAll(async () => {
  authority = await makeAuthority()
  setDefaultCACertificates([...usual, authority.cert])
})
afterAll(() => setDefaultCACertificates(usual))

test('https has a TLS phase, with the name of the URL', async () => {
  const identity = await authority.certify('hook.test')
  let name: string | false | undefined
  await using receiver = await startRawReceiver({
    identity,
    onConnection(socket) {
      name = (socket as Socket & { servername?: string }).servername
    },
    onRequest: socket => answer(socket),
  })
  await using sender = openTestSender()
  const result = await sender.post(requestTo(`https://hook.test:${receiver.port}/`), never)
  expect(result).toMatchObject({ outcome: 'delivered', remoteAddress: '127.0.0.1' })
  expect(Object.keys(result.phases)).toEqual(['dns', 'connect', 'tls', 'first_byte', 'body'])
  expect(name).toBe('hook.test')
})

test.each<[string, () => Promise<Identity>, string]>([
  ['signed by itself', () => selfSigned('hook.test'), 'self-signed'],
  ['not for servers', async () => authority, 'unsuitable certificate purpose'],
  ['expired', () => authority.certify('hook.test', -1), 'expired'],
  ['for another name', () => authority.certify('other.test'), 'another host name'],
  [
    'of an authority that nobody knows',
    async () => await (await makeAuthority('nobody')).certify('hook.test'),
    'intermediate certificates',
  ],
])('a certificate that is %s', async (_, make, message) => {
  await using receiver = await startRawReceiver({
    identity: await make(),
    onRequest: socket => answer(socket),
  })
  await using sender = openTestSender()
  expect(await sender.post(requestTo(`https://hook.test:${receiver.port}/`), never)).toMatchObject({
    outcome: 'unreachable',
    failure: { errorClass: 'tls_error', message: expect.stringContaining(message) },
  })
  expect(receiver.requests()).toBe(0)
})

test('a receiver that responds with plain HTTP to https fails as a TLS error', async () => {
  await using receiver = await startRawReceiver({ onConnection: socket => void answer(socket) })
  await using sender = openTestSender()
  expect(await sender.post(requestTo(`https://hook.test:${receiver.port}/`), never)).toMatchObject({
    outcome: 'unreachable',
    failure: { errorClass: 'tls_error', message: expect.stringContaining('does not speak TLS') },
  })
})

test('an endless TLS handshake exceeds the deadline, and its connection is closed', async () => {
  const { promise: closed, resolve } = Promise.withResolvers<void>()
  await using receiver = await startRawReceiver({
    onConnection: socket => socket.on('close', () => resolve()),
  })
  await using sender = openTestSender()
  const result = await sender.post(requestTo(`https://hook.test:${receiver.port}/`), never)
  expect(result).toMatchObject({ outcome: 'unreachable', failure: { errorClass: 'timeout' } })
  expect(Object.keys(result.phases)).toEqual(['dns', 'connect', 'tls'])
  await closed
})

test('certificates are verified even with NODE_TLS_REJECT_UNAUTHORIZED=0', async () => {
  process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0'
  try {
    const identity = await (await makeAuthority('nobody')).certify('hook.test')
    await using receiver = await startRawReceiver({ identity, onRequest: socket => answer(socket) })
    await using sender = openTestSender()
    const result = await sender.post(requestTo(`https://hook.test:${receiver.port}/`), never)
    expect(result).toMatchObject({ outcome: 'unreachable', failure: { errorClass: 'tls_error' } })
  } finally {
    delete process.env.NODE_TLS_REJECT_UNAUTHORIZED
  }
})

test('of several checked addresses the first that accepts is used', async () => {
  await using receiver = await startRawReceiver({ onRequest: socket => answer(socket), host: '127.0.0.2' })
  await using sender = openTestSender(async () => ['127.0.0.1', '127.0.0.2'])
  expect(await sender.post(requestTo(`http://hook.test:${receiver.port}/`), never)).toMatchObject({
    outcome: 'delivered',
    remoteAddress: '127.0.0.2',
  })
})

test('a name that is resolved too late, or not at all, fails as a DNS error', async () => {
  const { promise: nothing } = Promise.withResolvers<string[]>()
  await using late = openTestSender(() => nothing)
  expect(await late.post(requestTo('https://hook.test/'), never)).toMatchObject({
    outcome: 'unreachable',
    failure: { errorClass: 'dns_error', message: expect.stringContaining('did not answer') },
    phases: { dns: expect.any(Number) },
    remoteAddress: null,
  })
  await using unknown = openTestSender(async () => [])
  expect(await unknown.post(requestTo('https://hook.test/'), never)).toMatchObject({
    failure: { errorClass: 'dns_error', message: expect.stringContaining('spelling') },
  })
})
