import type { AddressInfo, Socket } from 'node:net'
import { createServer } from 'node:net'
import { beforeAll, expect, test } from 'vitest'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { refusal } from '../support/refusal.ts'
import { runWalhook } from '../support/walhook-process.ts'

let database: TestDatabase
beforeAll(async () => {
  database = await createTestDatabase()
})

function changed(change: (url: URL) => void): string {
  const url = new URL(database.url)
  change(url)
  return url.href
}

/** A server that is no Postgres. */
async function impostor(onConnection: (socket: Socket) => void) {
  const sockets: Socket[] = []
  const server = createServer(socket => {
    sockets.push(socket.on('error', () => {}))
    onConnection(socket)
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `postgres://walhook:hunter2@127.0.0.1:${(server.address() as AddressInfo).port}/app`,
    connections: sockets,
    async [Symbol.asyncDispose]() {
      const closed = new Promise(resolve => server.close(resolve))
      for (const socket of sockets) socket.destroy()
      await closed
    },
  }
}

test('a wrong or missing password is reported at once', async context => {
  if (new URL(database.url).password === '') context.skip('this server asks for no password')
  const wrong = changed(url => {
    url.password = 'hunter2'
  })
  expect(await refusal(database, { DATABASE_URL: wrong })).toEqual([
    expect.stringMatching(/^DATABASE_URL: no connection: password authentication failed for user "/),
  ])
  const none = changed(url => {
    url.password = ''
  })
  const expected =
    'no connection: the server asks for a password, but the URL has none. Fix: write it into the URL: postgres://user:password@host:5432/database'
  expect(await refusal(database, { DATABASE_URL: none })).toEqual([`DATABASE_URL: ${expected}`])
  for (const args of [['migrate'], ['token', 'CI']])
    for (const variable of ['DATABASE_URL', 'OUTBOX_DATABASE_URL'])
      expect(await runWalhook(database, args, { [variable]: none })).toEqual({
        code: 1,
        stdout: '',
        stderr: `${variable}: ${expected}\n`,
      })
  expect(await runWalhook(database, ['check'], { DATABASE_URL: none })).toEqual({
    code: 1,
    stdout: `error    DATABASE_URL: ${expected}\n`,
    stderr: '',
  })
})

test('a password that is not percent-encoded is an error with the right spelling', async () => {
  const raw = database.url.replace(/:\/\/[^@]*@/, '://walhook:p@no-such-host.invalid/w@')
  const [line] = await refusal(database, { DATABASE_URL: raw })
  expect(line).toMatch(
    /^DATABASE_URL: no connection: .* \(a password has %40 for @, %2F for \/ and %23 for #\)$/,
  )
  // The name that does not resolve is a piece of the password.
  expect(line).not.toContain('no-such-host')
  const [other] = await refusal(database, {
    DATABASE_URL: database.url.replace(/@[^:]*:/, '@no-such-host.invalid:'),
  })
  expect(other).toContain('no-such-host.invalid')
})

test('an unknown role is named', async () => {
  const url = changed(url => {
    url.username = 'nobody_of_that_name'
  })
  const lines = await refusal(database, { DATABASE_URL: url })
  expect(lines).toHaveLength(1)
  expect(lines[0]).toContain('nobody_of_that_name')
})

test.concurrent('a silent server is given up, after one try for both databases', async () => {
  await using silent = await impostor(() => {})
  expect(await refusal(database, { DATABASE_URL: silent.url })).toEqual([
    expect.stringMatching(/^DATABASE_URL: no connection: .*timeout/),
  ])
  expect(silent.connections).toHaveLength(1)
})

test.concurrent('two silent servers are given up together, each with its name', async () => {
  await using silent = await impostor(() => {})
  await using other = await impostor(() => {})
  expect(await refusal(database, { DATABASE_URL: silent.url, OUTBOX_DATABASE_URL: other.url })).toEqual([
    expect.stringMatching(/^DATABASE_URL: no connection: .*timeout/),
    expect.stringMatching(/^OUTBOX_DATABASE_URL: no connection: .*timeout/),
  ])
})

test('a server that is not Postgres is reported as no connection', async () => {
  await using web = await impostor(socket => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'))
  expect(await refusal(database, { DATABASE_URL: web.url })).toEqual([
    expect.stringMatching(/^DATABASE_URL: no connection: /),
  ])
})

test.each([
  ['a certificate that is not there', '?sslmode=verify-full&sslrootcert=/nowhere/ca.pem', '/nowhere/ca.pem'],
  ['TLS that the server does not have', '?sslmode=verify-full', 'does not support SSL'],
])('%s is reported', async (_what, search, found) => {
  const url = changed(url => {
    url.search = search
  })
  expect(await refusal(database, { DATABASE_URL: url })).toEqual([expect.stringContaining(found)])
})

test.each([
  ['an address of another machine', { HOST: '192.0.2.1' }, /^HOST: 192\.0\.2\.1: .+EADDRNOTAVAIL/],
  ['a name that there is not', { HOST: 'host.invalid' }, /^HOST: host\.invalid: /],
])('%s as HOST is reported', async (_what, env, expected) => {
  // Without the role `capture` the source needs no tables.
  const own = await createTestDatabase({ hasOutbox: true })
  expect(await refusal(own, { ...env, WALHOOK_ROLES: 'api' })).toEqual([expect.stringMatching(expected)])
})

test.each(['postgres:hunter2', 'postgres//localhost/app', 'postgres://walhook@localhost:99999/app'])(
  '%s is not a Postgres URL',
  async url => {
    expect(await refusal(database, { DATABASE_URL: url })).toEqual([
      'DATABASE_URL: not a Postgres URL. Fix: write it as postgres://user:password@host:5432/database, with several hosts as postgres://user:password@a:5432,b:5432/database?target_session_attrs=read-write',
    ])
  },
)
