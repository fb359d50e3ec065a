import type { AddressInfo, Socket } from 'node:net'
import { connect, createServer } from 'node:net'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openSender } from '../../src/delivery/sending/attempt.ts'
import { createGuard } from '../../src/delivery/sending/guard.ts'
import { parseEgressProxy } from '../../src/domain/webhook/egress-proxy.ts'
import { allowing } from '../domain/allowing.ts'
import { makeAuthority } from '../support/certificates.ts'
import { answer, startRawReceiver } from '../support/raw-receiver.ts'

/** A proxy that keeps what it was asked, and leads to loopback whatever address that names, or does as `reply` says. */
async function startProxy(reply: (socket: Socket, authority: string) => boolean = () => true) {
  const heads: string[] = []
  const sockets: Socket[] = []
  const server = createServer(socket => {
    sockets.push(socket.on('error', () => {}))
    socket.once('data', data => {
      const head = data.toString('latin1')
      heads.push(head)
      const authority = head.split(' ')[1]!
      if (!reply(socket, authority)) return
      const onward = connect(Number(authority.split(':').at(-1)), '127.0.0.1', () => {
        socket.write('HTTP/1.1 200 Connection established\r\nvia: 1.1 test\r\n\r\n')
        socket.pipe(onward).pipe(socket)
      })
      sockets.push(onward.on('error', () => {}))
    })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  return {
    port: (server.address() as AddressInfo).port,
    heads,
    async [Symbol.asyncDispose]() {
      const closed = new Promise(resolve => server.close(resolve))
      for (const socket of sockets) socket.destroy()
      await closed
    },
  }
}

function openTestSender(proxyUrl: string, addresses = ['93.184.216.34'], allow = 'plain.test') {
  const parsed = parseEgressProxy(proxyUrl)
  if ('problem' in parsed) throw new Error(parsed.problem)
  const guard = createGuard({ allow: allowing(allow), resolve: async () => addresses })
  const { proxy } = parsed
  const sender = openSender({
    guard,
    proxy,
    deadlineMs: 2_000,
    connectTimeoutMs: 500,
    maxResponseBytes: 1_024,
  })
  return { ...sender, [Symbol.asyncDispose]: sender.close }
}

const never = new AbortController().signal
const requestTo = (url: string) => ({ url, headers: { 'content-length': '2' }, body: '{}' })

let authority: Awaited<ReturnType<typeof makeAuthority>>
const usual = getCACertificates('default')
beforeAll(async () => {
  authority = await makeAuthority()
  setDefaultCACertificates([...usual, authority.cert])
})
afterAll(() => setDefaultCACertificates(usual))

test('the proxy gets a checked address, and TLS uses the name of the URL', async () => {
  let name: string | undefined
  await using receiver = await startRawReceiver({
    identity: await authority.certify('hook.test'),
    onConnection(socket) {
      name = (socket as Socket & { servername?: string }).servername
    },
    onRequest: socket => answer(socket),
  })
  await using proxy = await startProxy()
  await using sender = openTestSender(`http://walhook:p%40ss@127.0.0.1:${proxy.port}`)
  const url = `https://hook.test:${receiver.port}/`
  const result = await sender.post(requestTo(url), never)
  expect(result).toMatchObject({ outcome: 'delivered', remoteAddress: '93.184.216.34' })
  expect(Object.keys(result.phases)).toEqual(['dns', 'connect', 'tls', 'first_byte', 'body'])
  const at = `93.184.216.34:${receiver.port}`
  const login = Buffer.from('walhook:p@ss').toString('base64')
  const head = `CONNECT ${at} HTTP/1.1\r\nHost: ${at}\r\nProxy-Authorization: Basic ${login}\r\n\r\n`
  expect(proxy.heads).toEqual([head])
  expect(name).toBe('hook.test')
  // The tunnel is kept like any connection.
  expect(await sender.post(requestTo(url), never)).toMatchObject({ outcome: 'delivered' })
  expect(proxy.heads).toHaveLength(1)
})

test('plain http uses a tunnel too, and the receiver sees no proxy headers', async () => {
  let head = ''
  await using receiver = await startRawReceiver({
    onConnection: socket => socket.once('data', data => (head = data.toString('latin1'))),
    onRequest: socket => answer(socket),
  })
  await using proxy = await startProxy()
  await using sender = openTestSender(`http://walhook:hunter2@127.0.0.1:${proxy.port}`)
  const result = await sender.post(requestTo(`http://plain.test:${receiver.port}/in?a=1`), never)
  expect(result).toMatchObject({ outcome: 'delivered' })
  expect(head).toMatch(new RegExp(`^POST /in\\?a=1 HTTP/1.1\r\nhost: plain.test:${receiver.port}\r\n`))
  expect(head.toLowerCase()).not.toMatch(/proxy|via/)
})

test('the proxy never gets a forbidden address, from a name or a literal', async () => {
  await using proxy = await startProxy()
  await using sender = openTestSender(`http://127.0.0.1:${proxy.port}`, ['93.184.216.34', '10.0.0.1'])
  for (const url of ['https://hook.test/', 'https://127.0.0.1/', 'https://[::ffff:7f00:1]/'])
    expect(await sender.post(requestTo(url), never)).toMatchObject({ outcome: 'blocked' })
  expect(proxy.heads).toEqual([])
})

test('the proxy gets an address literal in its checked form', async () => {
  await using proxy = await startProxy(socket => {
    socket.end('HTTP/1.1 403 Forbidden\r\n\r\n')
    return false
  })
  await using sender = openTestSender(`http://127.0.0.1:${proxy.port}`)
  await sender.post(requestTo('https://[2606:4700::1111]/'), never)
  await sender.post(requestTo('https://1.1.1.1:8443/'), never)
  const asked = proxy.heads.map(head => head.split('\r\n')[0])
  expect(asked).toEqual(['CONNECT [2606:4700::1111]:443 HTTP/1.1', 'CONNECT 1.1.1.1:8443 HTTP/1.1'])
})

test('if the proxy cannot reach one address, the next one is tried', async () => {
  await using receiver = await startRawReceiver({ onRequest: socket => answer(socket) })
  await using proxy = await startProxy((socket, asked) => {
    if (asked.startsWith('[')) socket.end('HTTP/1.1 502 Bad Gateway\r\n\r\n')
    return !asked.startsWith('[')
  })
  await using sender = openTestSender(`http://127.0.0.1:${proxy.port}`, ['2606:4700::1111', '1.1.1.1'])
  const result = await sender.post(requestTo(`http://plain.test:${receiver.port}/`), never)
  expect(result).toMatchObject({ outcome: 'delivered', remoteAddress: '1.1.1.1' })
  expect(proxy.heads).toHaveLength(2)
})

test('an address that hangs in the proxy does not block a working one', async () => {
  await using receiver = await startRawReceiver({ onRequest: socket => answer(socket) })
  // It says nothing of five of six: it waits for them, as long as its own time-out.
  await using proxy = await startProxy((_socket, asked) => asked.startsWith('1.1.1.6:'))
  const addresses = ['2606:4700::1111', '1.1.1.1', '1.1.1.2', '1.1.1.3', '1.1.1.4', '1.1.1.6']
  await using sender = openTestSender(`http://127.0.0.1:${proxy.port}`, addresses)
  const result = await sender.post(requestTo(`http://plain.test:${receiver.port}/`), never)
  expect(result).toMatchObject({ outcome: 'delivered', remoteAddress: '1.1.1.6' })
  expect(proxy.heads).toHaveLength(6)
  expect(receiver.sockets).toHaveLength(1)
})

const says = (text: string) => (socket: Socket) => {
  socket.write(text)
  return false
}
test.each<[string, (socket: Socket) => boolean, object]>([
  [
    'asks for another login',
    says('HTTP/1.1 407 Proxy Authentication Required\r\n\r\n'),
    /user or password \(407\)/,
  ],
  [
    'forbids it',
    says('HTTP/1.1 403 Forbidden\r\n\r\n'),
    /answered 403 to the request for 93\.184\.216\.34:443/,
  ],
  ['speaks no HTTP', says('SSH-2.0-OpenSSH_9.9\r\n\r\n'), /not HTTP/],
  ['never ends its head', says('HTTP/1.1 200 OK\r\n'.padEnd(20_000, 'x')), /not HTTP/],
  [
    'sends more than its answer',
    says('HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n'),
    /more than an answer/,
  ],
  [
    'hangs up',
    socket => {
      socket.end()
      return false
    },
    /without an answer/,
  ],
])('a proxy that %s', async (_, reply, message) => {
  await using proxy = await startProxy(reply)
  await using sender = openTestSender(`http://walhook:hunter2@127.0.0.1:${proxy.port}`)
  const result = await sender.post(requestTo('https://hook.test/'), never)
  expect(result).toMatchObject({
    outcome: 'unreachable',
    failure: {
      errorClass: 'network_unreachable',
      message: expect.stringMatching(message as RegExp),
    },
    response: null,
  })
  expect(result.failure!.message).toContain('WALHOOK_PROXY')
  expect(JSON.stringify(result)).not.toMatch(/hunter2|d2FsaG9va/)
})

test('a silent proxy exceeds the connect timeout, and an unreachable one is named', async () => {
  const silent = await startProxy(() => false)
  await using sender = openTestSender(`http://127.0.0.1:${silent.port}`)
  expect(await sender.post(requestTo('https://hook.test/'), never)).toMatchObject({
    outcome: 'unreachable',
    failure: { errorClass: 'timeout', message: expect.stringContaining('did not accept a connection') },
  })
  await silent[Symbol.asyncDispose]()
  expect(await sender.post(requestTo('https://hook.test/'), never)).toMatchObject({
    outcome: 'unreachable',
    failure: { errorClass: 'network_unreachable', message: expect.stringContaining('ECONNREFUSED') },
  })
})
