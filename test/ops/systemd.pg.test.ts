import { copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { freePort } from '../../playground/local-port.ts'
import { connect } from '../support/connect.ts'
import { createTestDatabase } from '../support/database.ts'
import { pack } from '../support/pack.ts'
import { noSystemdMachine, startSystemdMachine } from '../support/systemd-machine.ts'
import { startTestReceiver } from '../support/test-receiver.ts'
import { until } from '../support/wait.ts'
import { secretKey } from '../support/walhook-process.ts'

const project = join(import.meta.dirname, '..', '..')

/** The commands at the head of the unit, with the package and the variables that the test has. */
const setup = `
cp /run/given/node /usr/local/bin/node
npm install --global --prefix /usr/local --prefer-offline --no-audit --no-fund /run/given/*.tgz
install -d -m 0750 /etc/walhook
install -m 0600 /run/given/environment /etc/walhook/environment
cp /run/given/walhook.service /etc/systemd/system/
mkdir /etc/systemd/system/walhook.service.d
printf '[Service]\\nStandardOutput=append:/run/given/log\\nStandardError=append:/run/given/log\\n' >/etc/systemd/system/walhook.service.d/log.conf
systemctl enable walhook
`

test('systemd runs the unit without privileges, restarts it after a crash, and stops it in order', async ({
  skip,
}) => {
  const why = await noSystemdMachine()
  if (why) return skip(why)
  const given = await mkdtemp(join(tmpdir(), 'walhook-systemd-'))
  onTestFinished(() => rm(given, { recursive: true }))
  await pack(given)
  await copyFile(join(project, 'ops', 'systemd', 'walhook.service'), join(given, 'walhook.service'))
  await copyFile(process.execPath, join(given, 'node'))

  await using database = await createTestDatabase()
  await using psql = await connect(database.url)
  await using receiver = await startTestReceiver()
  await psql.query(
    'create table users (id integer primary key); create table companies (id integer primary key)',
  )
  const port = await freePort()
  const environment = {
    DATABASE_URL: database.url,
    WALHOOK_SLOT: database.name.slice(0, 63),
    WALHOOK_SECRET_KEY: secretKey,
    WALHOOK_ALLOW_TARGETS: '127.0.0.1',
    PORT: port,
  }
  const lines = Object.entries(environment).map(([name, value]) => `${name}=${value}\n`)
  await writeFile(join(given, 'environment'), lines.join(''))
  await using machine = await startSystemdMachine(given, setup)

  const ready = async () => {
    const answer = await fetch(`http://127.0.0.1:${port}/readyz`).catch(() => null)
    if (answer?.ok) return true
    throw new Error(
      `${await answer?.text()}, ${await readFile(join(given, 'log'), 'utf8').catch(() => '')}, ${await machine
        .run('systemctl', 'status', '--no-pager', 'walhook')
        .catch(error => error.stdout)}`,
    )
  }
  await until(ready, { what: 'the service to be ready', timeoutMs: 180_000, intervalMs: 200 })
  const [pid] = await machine.pidsOf('walhook.service')
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  expect(status).toMatch(/^Uid:\t(?!0\t)\d+\t/m)
  expect(status).toMatch(/^CapBnd:\t0+$/m)
  expect(status).toMatch(/^NoNewPrivs:\t1$/m)
  expect(status).toMatch(/^Seccomp:\t2$/m)

  const asService = ['--pipe', '--wait', '--quiet', '--property=EnvironmentFile=/etc/walhook/environment']
  const token = await machine.run('systemd-run', ...asService, 'walhook', 'token', 'Ada', '--role', 'admin')
  const headers = { authorization: `Bearer ${token}` }
  const body = JSON.stringify({ name: 'A', url: receiver.url, triggers: ['user.new'] })
  const created = await fetch(`http://127.0.0.1:${port}/api/webhooks`, { method: 'POST', headers, body })
  expect(created.status, await readFile(join(given, 'log'), 'utf8')).toBe(201)
  await psql.query('insert into users values (1)')
  await until(() => receiver.arrivals.length === 1, { what: 'the request' })

  process.kill(pid!, 'SIGKILL')
  await psql.query('insert into users values (2)')
  // The first one may come again: it may have been killed before it settled it.
  await until(() => receiver.arrivals.some(({ entityId }) => entityId === '2'), {
    what: 'the request after the crash',
  })
  const shown = async (property: string) =>
    await machine.run('systemctl', 'show', '--value', '--property', property, 'walhook')
  expect(await shown('NRestarts')).toBe('1')

  await machine.run('systemctl', 'stop', 'walhook')
  expect([await shown('ActiveState'), await shown('Result'), await shown('ExecMainStatus')]).toEqual([
    'inactive',
    'success',
    '0',
  ])
}, 600_000)
