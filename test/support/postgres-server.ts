import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdir, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { Client } from 'pg'
import { removeEmbeddedPostgres } from '../../playground/embedded-postgres.ts'
import { isAlive } from '../../playground/process-alive.ts'
import { embeddedVersion, startOwnServer } from './own-server.ts'
import { until } from './wait.ts'

export type TestServer = {
  /** Of a database that always exists, for an account that may create databases and replicate. */
  readonly url: string
  /** Which server the tests ran on, and why that one. */
  readonly description: string
  /** Where databases that failed tests leave behind can be looked at once the run is over. */
  readonly keeps: 'on the server' | 'nowhere' | { readonly dataDir: string }
  /** @param keepData leaves the data on disk where there are any */
  stop(keepData: boolean): Promise<void>
  /** The same without waiting, for a process that is about to exit. */
  abandon(): void
}

/** What every server needs here: `wal_level` and enough room for test files that run side by side. */
const settings = {
  wal_level: 'logical',
  max_replication_slots: '60',
  max_wal_senders: '60',
  max_connections: '200',
  fsync: 'off',
}

const pullTimeoutMs = 180_000
const engineTimeoutMs = 10_000
const startTimeoutMs = 60_000

/**
 * The Postgres that the tests run on: the one that TEST_DATABASE_URL names; else a container of
 * TEST_POSTGRES_IMAGE (default postgres:18) where a Docker engine answers and has the image or can pull it;
 * else, or where TEST_EMBEDDED_POSTGRES names one (see own-server.ts), a server of ours with its data below `dataRoot`.
 */
export async function startTestServer(env: NodeJS.ProcessEnv, dataRoot: string): Promise<TestServer> {
  if (env.TEST_DATABASE_URL) return useNamedServer(env.TEST_DATABASE_URL)
  if (embeddedVersion !== null) return startEmbedded(dataRoot, `TEST_EMBEDDED_POSTGRES=${embeddedVersion}`)
  const container = await startContainer(env.TEST_POSTGRES_IMAGE || 'postgres:18')
  return 'url' in container ? container : startEmbedded(dataRoot, container.whyNot)
}

async function useNamedServer(url: string): Promise<TestServer> {
  const facts = await askServer(url).catch(error => {
    throw new Error(
      `The server that TEST_DATABASE_URL names does not answer: ${error.message}. Start it or mend the URL.`,
    )
  })
  const problems = [
    facts.walLevel !== 'logical' &&
      `wal_level is ${facts.walLevel}: run ALTER SYSTEM SET wal_level = logical, then restart the server`,
    !facts.canCreate && `${facts.user} may not create databases: run ALTER ROLE "${facts.user}" CREATEDB`,
    !facts.canReplicate && `${facts.user} may not replicate: run ALTER ROLE "${facts.user}" REPLICATION`,
  ].filter(problem => problem !== false)
  if (problems.length > 0) {
    throw new Error(
      `The server that TEST_DATABASE_URL names cannot serve these tests: ${problems.join('; ')}.`,
    )
  }
  return {
    url,
    description: `PostgreSQL ${facts.version} of TEST_DATABASE_URL`,
    keeps: 'on the server',
    stop: async () => {},
    abandon: () => {},
  }
}

async function askServer(url: string) {
  const client = new Client({ connectionString: url, connectionTimeoutMillis: 10_000 })
  await client.connect()
  try {
    const { rows } = await client.query(`
      select current_setting('server_version') as version, current_setting('wal_level') as wal_level,
             rolname, rolsuper or rolcreatedb as can_create, rolsuper or rolreplication as can_replicate
      from pg_roles where rolname = current_user`)
    const [{ version, wal_level, rolname, can_create, can_replicate }] = rows
    return {
      version: String(version).split(' ')[0],
      walLevel: String(wal_level),
      user: String(rolname),
      canCreate: can_create === true,
      canReplicate: can_replicate === true,
    }
  } finally {
    await client.end()
  }
}

async function startContainer(image: string): Promise<TestServer | { whyNot: string }> {
  // The reaper is one more image to pull; teardown and the exit handler remove the container.
  process.env.TESTCONTAINERS_RYUK_DISABLED = 'true'
  const { GenericContainer, getContainerRuntimeClient, ImageName } = await import('testcontainers')
  const engine = await within(engineTimeoutMs, getContainerRuntimeClient()).catch(() => null)
  if (engine === null) return { whyNot: 'no Docker engine answered' }
  try {
    const name = ImageName.fromString(image)
    await within(pullTimeoutMs, engine.image.pull(name))
    await engine.image.inspect(name)
  } catch (error) {
    return { whyNot: `image ${image} is not there and could not be pulled: ${firstLine(error)}` }
  }
  const password = randomBytes(12).toString('hex')
  const postgres = [
    'postgres',
    ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
  ]
  const container = await new GenericContainer(image)
    .withEnvironment({ POSTGRES_PASSWORD: password })
    .withLabels({ 'walhook.tests': 'postgres' })
    .withCommand(postgres)
    .withExposedPorts(5432)
    .withStartupTimeout(startTimeoutMs)
    .start()
    .catch(error => ({ whyNot: `a container of ${image} did not start: ${firstLine(error)}` }))
  if ('whyNot' in container) return container
  const stop = async () => {
    await container.stop({ timeout: 0, remove: true, removeVolumes: true })
  }
  try {
    const url = `postgres://postgres:${password}@${container.getHost()}:${container.getMappedPort(5432)}/postgres`
    const facts = await until(() => askServer(url), {
      what: 'PostgreSQL to answer',
      timeoutMs: startTimeoutMs,
    })
    return {
      url,
      description: `container ${image}, PostgreSQL ${facts.version} (no TEST_DATABASE_URL)`,
      keeps: 'nowhere',
      stop,
      abandon: () => {
        spawnSync('docker', ['rm', '--force', '--volumes', container.getId()], { timeout: 10_000 })
      },
    }
  } catch (error) {
    await stop()
    return { whyNot: `a container of ${image} is of no use: ${firstLine(error)}` }
  }
}

async function startEmbedded(dataRoot: string, whyNoContainer: string): Promise<TestServer> {
  const prefix = 'test-postgres-'
  await mkdir(dataRoot, { recursive: true })
  for (const name of await readdir(dataRoot)) {
    const pid = name.startsWith(prefix) ? Number(name.slice(prefix.length)) : 0
    if (pid > 0 && (pid === process.pid || !isAlive(pid))) await remove(join(dataRoot, name))
  }
  const requestedDir = join(dataRoot, `${prefix}${process.pid}`)
  await mkdir(requestedDir)
  const server = await startOwnServer(requestedDir, settings)
  return {
    url: server.url,
    description: `${embeddedVersion === 'debian' ? 'Debian’s' : 'embedded'} PostgreSQL ${server.version} (no TEST_DATABASE_URL; ${whyNoContainer})`,
    keeps: { dataDir: requestedDir },
    stop: keepData => (keepData ? server.stop() : remove(requestedDir)),
    abandon: () => {
      // SIGQUIT is Postgres's immediate shutdown; the next run removes the data.
      process.kill(server.pid, 'SIGQUIT')
    },
  }
}

/** Removes a test server's data from the requested folder and the real one. */
async function remove(dataDir: string): Promise<void> {
  await removeEmbeddedPostgres({ dataDir })
  await rm(dataDir, { recursive: true, force: true })
}

async function within<T>(timeoutMs: number, promise: Promise<T>): Promise<T> {
  const late = Promise.withResolvers<never>()
  const timer = setTimeout(() => late.reject(new Error(`no answer in ${timeoutMs / 1000} s`)), timeoutMs)
  return Promise.race([promise, late.promise]).finally(() => clearTimeout(timer))
}

/** What an engine or a server complains of, without the HTTP that it came in. */
function firstLine(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error)
  return message
    .replace(/^\(HTTP code \d+\) [^-]*- /, '')
    .split('\n')[0]!
    .trim()
}
