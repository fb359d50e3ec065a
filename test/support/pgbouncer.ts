import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from '../../playground/local-port.ts'
import { connect } from './connect.ts'
import { until } from './wait.ts'

/** Where Debian's package puts it; WALHOOK_PGBOUNCER names another one. */
const program = process.env.WALHOOK_PGBOUNCER || '/usr/sbin/pgbouncer'
const asked = spawnSync(program, ['--version'], { encoding: 'utf8' })

/** Whether PgBouncer is there. */
export const hasPgBouncer = asked.status === 0
const [, minor = '0'] = /PgBouncer 1\.(\d+)/.exec(asked.stdout ?? '') ?? []
/** Replication connections pass through it, each with a server connection of its own, since 1.23. */
export const passesReplication = Number(minor) >= 23

/** A PgBouncer of its own in front of a database. Put away with the block. */
export async function startPgBouncer(
  database: { url: string },
  poolMode: 'session' | 'transaction',
  more: Readonly<Record<string, string>> = {},
): Promise<{ url: string } & AsyncDisposable> {
  const { hostname, port, pathname, username, password } = new URL(database.url)
  const name = pathname.slice(1)
  const dir = await mkdtemp(join(tmpdir(), 'walhook-pgbouncer-'))
  const listenPort = await freePort()
  const config = {
    listen_addr: '127.0.0.1',
    listen_port: String(listenPort),
    unix_socket_dir: '',
    auth_type: 'any',
    pool_mode: poolMode,
    default_pool_size: '20',
    ...more,
  }
  const lines = Object.entries(config).map(([key, value]) => `${key} = ${value}`)
  const server = `host=${hostname} port=${port} dbname=${name} user=${username} password=${password}`
  await writeFile(
    join(dir, 'pgbouncer.ini'),
    `[databases]\n${name} = ${server}\n[pgbouncer]\n${lines.join('\n')}\n`,
  )
  await chmod(dir, 0o755)
  // It does not run as root.
  const user = process.getuid?.() === 0 ? ['-u', 'nobody'] : []
  const child = spawn(program, ['-q', ...user, join(dir, 'pgbouncer.ini')], { stdio: 'ignore' })
  const url = new URL(database.url)
  url.hostname = '127.0.0.1'
  url.port = String(listenPort)
  await until(
    async () => {
      await using client = await connect(url.href)
      return (await client.query('select')).rowCount !== null
    },
    { what: 'PgBouncer to answer' },
  )
  return {
    url: url.href,
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL')
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
      await rm(dir, { recursive: true, force: true })
    },
  }
}
