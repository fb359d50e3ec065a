import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { request } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { freePort } from '../../playground/local-port.ts'
import { makeAuthority } from '../support/certificates.ts'
import { connect } from '../support/connect.ts'
import { createTestDatabase } from '../support/database.ts'
import { until } from '../support/wait.ts'
import { adminToken, startWalhook } from '../support/walhook-process.ts'

const name = 'walhook.example.com'
const hasNginx = spawnSync('nginx', ['-v']).status === 0

/** A real nginx with the configuration that the guide shows; only port, files and upstream are others. */
async function startNginx(upstream: string) {
  const guide = await readFile(new URL('../../docs/guide/reverse-proxy.md', import.meta.url), 'utf8')
  const shown = /```nginx\n(.*?)```/s.exec(guide)![1]!
  const folder = await mkdtemp(join(tmpdir(), 'walhook-nginx-'))
  // Workers of nginx are another user's, and store large bodies here.
  await chmod(folder, 0o711)
  const authority = await makeAuthority()
  const { cert, key } = await authority.certify(name)
  await writeFile(join(folder, 'cert.pem'), cert)
  await writeFile(join(folder, 'key.pem'), key)
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
  for (const kind of temporary) await mkdir(join(folder, kind))
  const port = await freePort()
  const server = shown
    .replace('listen 443 ssl', `listen 127.0.0.1:${port} ssl`)
    .replace(/ssl_certificate +\S+;/, 'ssl_certificate cert.pem;')
    .replace(/ssl_certificate_key +\S+;/, 'ssl_certificate_key key.pem;')
    .replace('http://127.0.0.1:8080', upstream)
  await writeFile(
    join(folder, 'nginx.conf'),
    `daemon off; pid nginx.pid; error_log stderr; worker_processes 1; events {}
http { access_log off; ${temporary.map(kind => `${kind}_temp_path ${kind};`).join(' ')} ${server} }`,
  )
  const nginx = spawn('nginx', ['-p', folder, '-c', join(folder, 'nginx.conf'), '-e', 'stderr'], {
    stdio: 'pipe',
  })
  let said = ''
  nginx.stderr.on('data', data => {
    said += data
  })
  onTestFinished(async () => {
    if (nginx.exitCode === null) {
      nginx.kill('SIGTERM')
      await once(nginx, 'exit')
    }
    await rm(folder, { recursive: true, force: true })
  })

  /** Calls walhook as a browser does that resolves the name to nginx. */
  function call(
    path: string,
    options: { method?: string; headers?: object; body?: string; host?: string } = {},
  ) {
    return new Promise<{
      status: number
      headers: NodeJS.Dict<string | string[]>
      next: () => Promise<string>
    }>((resolve, reject) => {
      const { method = 'GET', headers = {}, body, host = name } = options
      const sent = request(
        {
          host: '127.0.0.1',
          port,
          path,
          method,
          ca: authority.cert,
          servername: name,
          headers: { host, ...headers },
        },
        response => {
          const chunks = response.setEncoding('utf8')[Symbol.asyncIterator]()
          onTestFinished(() => void response.destroy())
          resolve({
            status: response.statusCode!,
            headers: response.headers,
            next: async () => String((await chunks.next()).value ?? ''),
          })
        },
      )
      sent.on('error', reject)
      sent.end(body)
    })
  }
  await until(
    async () => {
      if (nginx.exitCode !== null) throw new Error(said)
      return (await call('/livez')).status > 0
    },
    { what: 'nginx to answer' },
  )
  return { call }
}

test('nginx as configured in the guide passes https, client addresses, live pages, a file of webhooks, and its own host name only', async ({
  skip,
}) => {
  if (!hasNginx) skip('there is no nginx here')
  const database = await createTestDatabase({ hasOutbox: true })
  await using psql = await connect(database.url)
  await psql.query(
    'create table users (id integer primary key); create table companies (id integer primary key)',
  )
  await using walhook = startWalhook(database, {
    WALHOOK_URL: `https://${name}`,
    WALHOOK_TRUSTED_PROXIES: '127.0.0.1',
  })
  await walhook.ready()
  const { call } = await startNginx(await walhook.url())

  const body = new URLSearchParams({ token: adminToken }).toString()
  const form = {
    'content-type': 'application/x-www-form-urlencoded',
    'content-length': String(body.length),
  }
  // An old browser, which says only by Origin where a form comes from.
  const logIn = await call('/login', {
    method: 'POST',
    body,
    headers: { ...form, origin: `https://${name}`, 'x-forwarded-for': '203.0.113.66' },
  })
  expect(logIn.status).toBe(303)
  const [cookie] = logIn.headers['set-cookie'] as string[]
  expect(cookie).toMatch(/^__Host-walhook_session=whs_.+; Secure/)
  const session = { cookie: cookie!.split(';')[0]! }
  expect((await call('/couplings', { headers: session })).status).toBe(200)

  // nginx appends the address that it sees. Here that is 127.0.0.1, which is trusted itself, so the one before it counts.
  const { rows } = await psql.query(
    `select changes->'address'->>'to' as address from walhook.audit where action = 'session.started'`,
  )
  expect(rows).toEqual([{ address: '203.0.113.66' }])

  const live = await call('/couplings/live', { headers: { ...session, accept: 'text/event-stream' } })
  expect(await live.next()).toContain('data:')

  expect((await call('/couplings', { host: 'evil.example', headers: session })).status).toBe(421)
  expect((await call('/api/webhooks', { headers: { authorization: `Bearer ${adminToken}` } })).status).toBe(
    200,
  )
  // As large as a file of a few hundred webhooks: walhook itself reads it, and refuses its fields.
  const file = JSON.stringify({ padding: 'x'.repeat(900_000) })
  const applied = await call('/api/apply', {
    method: 'POST',
    body: file,
    headers: {
      authorization: `Bearer ${adminToken}`,
      'content-type': 'application/json',
      'content-length': String(file.length),
    },
  })
  expect(applied.status).toBe(422)
  expect((await call('/metrics')).status).toBe(403)
  const large = 'x'.repeat(9_000)
  const refused = await call('/login', {
    method: 'POST',
    body: large,
    headers: { ...form, 'content-length': '9000' },
  })
  expect(refused.status).toBe(413)
})
