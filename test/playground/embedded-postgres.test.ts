import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, chown, cp, mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client } from 'pg'
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from 'vitest'
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../playground/embedded-postgres.ts'
import { answers } from '../../playground/local-port.ts'
import { packagedPostgres } from '../../playground/postgres-binaries.ts'
import { isAlive } from '../../playground/process-alive.ts'

const isRoot = process.getuid?.() === 0
const settings = { fsync: 'off' }
let root: string

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'walhook-embedded-'))
  await chmod(root, 0o755)
})

afterAll(() => rm(root, { recursive: true, force: true }))

/** Starts a server that is stopped at the end of the test, whatever happens. */
async function start(options: Parameters<typeof startEmbeddedPostgres>[0]): Promise<EmbeddedPostgres> {
  const server = await startEmbeddedPostgres(options)
  onTestFinished(() => server.stop())
  return server
}

async function ask(url: string, sql: string): Promise<unknown> {
  const client = new Client({ connectionString: url })
  await client.connect()
  try {
    return Object.values((await client.query(sql)).rows[0] ?? {})[0]
  } finally {
    await client.end()
  }
}

test('starts with logical replication, stops without a trace, and starts again on the same data and port', async () => {
  const dataDir = join(root, 'again')
  const first = await start({ dataDir, settings: { ...settings, application_name: "it's" } })
  expect(first).toMatchObject({ dataDir, version: await ask(first.url, 'show server_version') })
  expect(await ask(first.url, 'show wal_level')).toBe('logical')
  expect(await ask(first.url, 'show listen_addresses')).toBe('127.0.0.1')
  expect(await ask(first.url, 'show server_encoding')).toBe('UTF8')
  expect(await ask(first.url, "select reset_val from pg_settings where name = 'application_name'")).toBe(
    "it's",
  )
  await ask(first.url, 'create table kept as select 42 as answer')

  await first.stop()
  expect(await answers(first.port)).toBe(false)
  expect(isAlive(first.pid)).toBe(false)
  await first.stop()

  const second = await start({ dataDir, settings })
  expect(second.url).toBe(first.url)
  expect(await ask(second.url, 'select answer from kept')).toBe(42)
})

test('the password is required, and readable by its owner only', async () => {
  const { url, dataDir } = await start({ dataDir: join(root, 'password'), settings })
  expect((await stat(join(dataDir, 'cluster', 'password'))).mode & 0o777).toBe(0o600)
  const wrong = new URL(url)
  wrong.password = 'wrong'
  await expect(ask(wrong.href, 'select 1')).rejects.toThrow('password authentication failed')
})

test('two starts in one process share one server, and a changed setting restarts it', async () => {
  const dataDir = join(root, 'one')
  const first = await start({ dataDir, settings })
  const second = await start({ dataDir, settings })
  expect(second.pid).toBe(first.pid)
  const third = await start({ dataDir, settings: { ...settings, wal_sender_timeout: '2s' } })
  expect(third.pid).not.toBe(first.pid)
  expect(await ask(third.url, 'show wal_sender_timeout')).toBe('2s')
})

test('Ctrl-C and a killed parent process leave the server running, and the next start reuses it', async () => {
  const dataDir = join(root, 'orphan')
  const module = JSON.stringify(new URL('../../playground/embedded-postgres.ts', import.meta.url).href)
  const script = `
    const { startEmbeddedPostgres } = await import(${module})
    const server = await startEmbeddedPostgres(${JSON.stringify({ dataDir, settings })})
    process.stdout.write(server.pid + '\\n')
    setInterval(() => {}, 1000)`
  // A process group of its own, as a shell gives to a job: Ctrl-C signals the group.
  const parent = spawn(process.execPath, ['--input-type=module', '-e', script], {
    detached: true,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [line] = await once(parent.stdout, 'data')
  await expect(startEmbeddedPostgres({ dataDir, settings })).rejects.toThrow(
    `is in use by process ${parent.pid}`,
  )
  process.kill(-parent.pid!, 'SIGINT')
  await once(parent, 'exit')

  const server = await start({ dataDir, settings })
  expect(server.pid).toBe(Number(line))
  expect(await ask(server.url, 'select 1')).toBe(1)
  await server.stop()
  expect(await answers(server.port)).toBe(false)
})

test('incomplete data of an interrupted initdb are created again', async () => {
  const dataDir = join(root, 'half')
  await mkdir(join(dataDir, 'cluster', 'base'), { recursive: true })
  await writeFile(join(dataDir, 'cluster', 'PG_VERSION'), '18\n')
  const interrupted = join(dataDir, 'cluster.new-999999999')
  await mkdir(interrupted)
  const server = await start({ dataDir, settings })
  expect(await ask(server.url, 'select 1')).toBe(1)
  await expect(stat(interrupted)).rejects.toThrow('ENOENT')
})

test('a stale lock file that names another process does not block the start', async () => {
  const dataDir = join(root, 'stale')
  const server = await start({ dataDir, settings })
  const lockFile = join(dataDir, 'cluster', 'postmaster.pid')
  const [lock, owner] = [await readFile(lockFile, 'utf8'), await stat(lockFile)]
  await server.stop()
  const innocent = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'])
  onTestFinished(() => void innocent.kill())
  await writeFile(lockFile, lock.replace(/^\d+/, String(innocent.pid)))
  await chown(lockFile, owner.uid, owner.gid)
  const again = await startEmbeddedPostgres({ dataDir, settings }).catch((error: Error) => error)
  if (again instanceof Error) expect(again.message).toContain('postmaster.pid')
  else await again.stop()
  expect(innocent.exitCode ?? innocent.signalCode).toBeNull()
})

test('a taken port, data of another version and missing binaries are reported, each with its fix', async () => {
  const blocker = createServer().listen(0, '127.0.0.1')
  onTestFinished(() => void blocker.close())
  await once(blocker, 'listening')
  const address = blocker.address()
  const port = typeof address === 'object' ? address!.port : 0
  const dataDir = join(root, 'problems')
  await expect(startEmbeddedPostgres({ dataDir, port, settings })).rejects.toThrow(
    `Port ${port} on 127.0.0.1 is taken by another program. Stop that, or choose another port.`,
  )
  await writeFile(join(dataDir, 'cluster', 'PG_VERSION'), '9\n')
  await expect(startEmbeddedPostgres({ dataDir, settings })).rejects.toThrow(
    /was made by PostgreSQL 9, this is \d/,
  )
  await expect(packagedPostgres('linux', 'mips')).rejects.toThrow(
    '@embedded-postgres/linux-mips was not found',
  )
})

test('root in a folder that nobody else can enter runs a copy and keeps the data in the temporary folder', async ctx => {
  if (!isRoot) ctx.skip('only root lends Postgres another account')
  vi.stubEnv('TMPDIR', root)
  onTestFinished(() => void vi.unstubAllEnvs())
  const closed = join(root, 'closed')
  await mkdir(closed, { mode: 0o700 })
  const binaries = join(closed, 'native')
  await cp(await packagedPostgres(), binaries, { recursive: true, verbatimSymlinks: true })
  // As where the package's install script did not run.
  const links = JSON.parse(await readFile(join(binaries, 'pg-symlinks.json'), 'utf8').catch(() => '[]'))
  for (const { target } of links) await rm(join(closed, target), { force: true })

  const requested = join(closed, 'data')
  const first = await start({ dataDir: requested, binaries, settings })
  expect(first.dataDir).toMatch(new RegExp(`^${root}/walhook-data-[0-9a-f]{12}$`))
  await ask(first.url, 'create table kept as select 42 as answer')
  await first.stop()
  const second = await start({ dataDir: requested, binaries, settings })
  expect(second.dataDir).toBe(first.dataDir)
  expect(await ask(second.url, 'select answer from kept')).toBe(42)
})
