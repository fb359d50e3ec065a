import { createSocket, type RemoteInfo } from 'node:dgram'
import { Resolver } from 'node:dns/promises'
import { expect, test } from 'vitest'
import { openSender } from '../../src/delivery/sending/attempt.ts'
import { createGuard } from '../../src/delivery/sending/guard.ts'
import { allowing } from '../domain/allowing.ts'
import { answer, startRawReceiver } from '../support/raw-receiver.ts'

/**
 * A DNS server that answers the nth question for an A record with the nth of `answers`, as one does that wants to be
 * checked by its first answer and connected to by its second. https://www.rfc-editor.org/rfc/rfc1035#section-4
 */
async function startDns(answers: readonly (readonly string[])[]) {
  const asked: string[] = []
  const socket = createSocket('udp4')
  socket.on('message', (question: Buffer, from: RemoteInfo) => {
    const labels: string[] = []
    let at = 12
    for (let length = question[at]!; length > 0; length = question[at]!) {
      labels.push(question.toString('latin1', at + 1, at + 1 + length))
      at += 1 + length
    }
    const addresses = answers[Math.min(asked.push(labels.join('.')), answers.length) - 1]!
    const head = Buffer.alloc(12)
    question.copy(head, 0, 0, 2)
    head.writeUInt16BE(0x8580, 2)
    head.writeUInt16BE(1, 4)
    head.writeUInt16BE(addresses.length, 6)
    const records = addresses.map(address =>
      // The name of the question, A, IN, no life time at all, four bytes.
      Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, ...address.split('.').map(Number)]),
    )
    socket.send(Buffer.concat([head, question.subarray(12, at + 5), ...records]), from.port, from.address)
  })
  await new Promise<void>(resolve => socket.bind(0, '127.0.0.1', resolve))
  const resolver = new Resolver({ timeout: 1_000, tries: 1 })
  resolver.setServers([`127.0.0.1:${socket.address().port}`])
  return {
    asked,
    resolve: (hostname: string) => resolver.resolve4(hostname),
    async [Symbol.asyncDispose]() {
      await new Promise<void>(resolve => socket.close(() => resolve()))
    },
  }
}

const never = new AbortController().signal
const requestTo = (url: string) => ({ url, headers: { 'content-length': '2' }, body: '{}' })
const inner = '127.0.0.1'
const outer = '127.0.0.9' // stands for a public address: a test has no other than loopback

function openTestSender(resolve: (hostname: string) => Promise<string[]>) {
  // Open is one address of loopback and no other; http is allowed by the name, so the checking is done on ranges here.
  const guard = createGuard({ allow: allowing(`${outer}/32`), resolve })
  const sender = openSender({ guard, deadlineMs: 2_000, connectTimeoutMs: 500, maxResponseBytes: 1_024 })
  return { guard, ...sender, [Symbol.asyncDispose]: sender.close }
}

test('a name that resolves to a private address at delivery is blocked before a connection', async () => {
  await using inside = await startRawReceiver({ onRequest: socket => answer(socket), host: inner })
  await using dns = await startDns([[outer], [inner]])
  await using sender = openTestSender(dns.resolve)
  const url = `https://rebind.test:${inside.port}/`
  expect(await sender.guard.check(url)).toMatchObject({ ok: true, addresses: [outer] })
  expect(await sender.post(requestTo(url), never)).toMatchObject({
    outcome: 'blocked',
    failure: { errorClass: 'blocked_target', message: expect.stringContaining(`${inner} is a loopback`) },
  })
  expect(dns.asked).toEqual(['rebind.test', 'rebind.test'])
  expect(inside.sockets).toEqual([])
})

test('the checked resolution is the one connected to', async () => {
  await using inside = await startRawReceiver({ host: inner })
  await using dns = await startDns([[outer], [inner]])
  await using sender = openTestSender(dns.resolve)
  const result = await sender.post(requestTo(`https://rebind.test:${inside.port}/`), never)
  // Nothing listens at the checked address; at the other one somebody does.
  expect(result).toMatchObject({
    outcome: 'unreachable',
    failure: { errorClass: 'connection_refused' },
    remoteAddress: outer,
  })
  expect(dns.asked).toEqual(['rebind.test'])
  expect(inside.sockets).toEqual([])
})

test('one private address among public ones refuses the host', async () => {
  await using inside = await startRawReceiver({ host: inner })
  await using dns = await startDns([
    [outer, inner],
    [inner, outer],
    [outer, '10.0.0.1', outer],
  ])
  await using sender = openTestSender(dns.resolve)
  for (let i = 0; i < 3; i++)
    expect(await sender.post(requestTo(`https://rebind.test:${inside.port}/`), never)).toMatchObject({
      outcome: 'blocked',
    })
  expect(inside.sockets).toEqual([])
})

test('address literals in every spelling and the scheme are checked', async () => {
  await using inside = await startRawReceiver({ onRequest: socket => answer(socket), host: inner })
  await using sender = openTestSender(async () => [outer])
  for (const host of [inner, '2130706433', '0x7f.1', '127.1', '[::ffff:127.0.0.1]', '[::7f00:1]'])
    expect(await sender.post(requestTo(`https://${host}:${inside.port}/`), never)).toMatchObject({
      outcome: 'blocked',
      failure: { errorClass: 'blocked_target' },
      remoteAddress: null,
    })
  expect(await sender.post(requestTo(`http://rebind.test:${inside.port}/`), never)).toMatchObject({
    outcome: 'blocked',
    failure: { message: expect.stringContaining('http:// is refused') },
  })
  expect(inside.sockets).toEqual([])
})
