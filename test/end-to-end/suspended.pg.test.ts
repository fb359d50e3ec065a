import { writeFile } from 'node:fs/promises'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createServer as createTlsServer } from 'node:tls'
import { expect, test } from 'vitest'
import { makeAuthority } from '../support/certificates.ts'
import { connect } from '../support/connect.ts'
import { createTestDatabase } from '../support/database.ts'
import { until } from '../support/wait.ts'
import { startWalhook } from '../support/walhook-process.ts'

/** A receiver that speaks TLS, and may be told to let connections wait for their handshake. */
async function startSlowReceiver(identity: { cert: string; key: string }) {
  const bodies: string[] = []
  const held: Socket[] = []
  let isHolding = false
  /** What came over connections that were held, once their handshake was over. */
  let lateText = ''
  const late = new WeakSet<object>()
  const tls = createTlsServer(identity, socket => {
    let text = ''
    socket.on('error', () => {})
    socket.on('data', bytes => {
      text += bytes
      if (late.has((socket as unknown as { _parent: object })._parent)) lateText += bytes
      const body = /\r\n\r\n(\{.*\})$/s.exec(text)?.[1]
      if (body === undefined) return
      bodies.push(body)
      socket.end('HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n')
    })
  })
  tls.on('tlsClientError', () => {})
  const server = createServer(socket => {
    socket.on('error', () => {})
    if (!isHolding) tls.emit('connection', socket)
    else held.push(socket.pause())
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  return {
    port: (server.address() as AddressInfo).port,
    bodies,
    held,
    hold: (is: boolean) => {
      isHolding = is
    },
    goOn(socket: Socket) {
      late.add(socket)
      tls.emit('connection', socket)
    },
    lateText: () => lateText,
    async [Symbol.asyncDispose]() {
      for (const socket of held) socket.destroy()
      await new Promise(resolve => server.close(resolve))
    },
  }
}

test('a process that is suspended while it connects, and resumes after a takeover, sends nothing', async () => {
  const authority = await makeAuthority()
  const database = await createTestDatabase({ hasOutbox: true })
  await using psql = await connect(database.url)
  await psql.query('create table users (id integer primary key, version integer)')
  await psql.query('create table companies (id integer primary key)')
  const trusted = join(tmpdir(), `${database.name}.pem`)
  await writeFile(trusted, authority.cert)
  await using receiver = await startSlowReceiver(await authority.certify('localhost'))
  const env = { NODE_EXTRA_CA_CERTS: trusted, WALHOOK_ALLOW_TARGETS: 'localhost,127.0.0.1,::1' }
  await using first = startWalhook(database, env)
  await first.ready()
  await using second = startWalhook(database, { ...env, WALHOOK_ROLES: 'delivery' })
  const holders = async (): Promise<{ id: number; shares: number[] }[]> =>
    (
      await psql.query(
        `select h.id, (select array_agg(s.share) from walhook.shares s where s.holder_id = h.id) as shares
         from walhook.holders h order by h.id`,
      )
    ).rows
  await until(async () => (await holders()).map(({ shares }) => shares?.length).join() === '6,6', {
    what: 'the shares to be divided',
    timeoutMs: 60_000,
  })
  const url = `https://localhost:${receiver.port}/`
  const webhook = { name: 'CRM', url, triggers: ['user.new', 'user.update'] }
  await first.api('POST', '/api/webhooks', webhook)

  // Somebody whom the second process serves.
  await psql.query('insert into users select i, 1 from generate_series(1, 30) i')
  await until(() => receiver.bodies.length === 30, { what: 'all to be delivered', timeoutMs: 60_000 })
  const [, { shares }] = (await holders()) as [unknown, { shares: number[] }]
  const { rows } = await psql.query(
    `select entity_id from walhook.events where share = any($1) order by id limit 1`,
    [shares],
  )
  const id = Number(rows[0].entity_id)
  const versions = () =>
    receiver.bodies
      .map(body => JSON.parse(body))
      .flatMap(({ entity_id, result }) => (entity_id === id ? [result.version] : []))

  receiver.hold(true)
  await psql.query('update users set version = 2 where id = $1', [id])
  await until(() => receiver.held.length === 1, { what: 'the second process to connect' })
  second.kill('SIGSTOP')
  receiver.hold(false)
  const socket = receiver.held[0]!
  const closed = new Promise(resolve => socket.once('close', resolve))
  receiver.goOn(socket)
  await psql.query('update users set version = 3 where id = $1', [id])
  await until(async () => (await holders()).length === 1, { what: 'the takeover', timeoutMs: 30_000 })
  second.kill('SIGCONT')
  // Its handshake is over now, and it goes no further.
  await closed
  expect(receiver.lateText()).toBe('')
  await until(() => versions().at(-1) === 3, { what: 'the newest version', timeoutMs: 60_000 })
  expect(versions()).toEqual([1, 2, 3])
}, 240_000)
