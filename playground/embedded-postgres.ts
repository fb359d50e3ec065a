import { createHash, randomBytes } from 'node:crypto'
import {
  chmod,
  chown,
  lstat,
  mkdir,
  readdir,
  readFile,
  realpath,
  rename,
  rm,
  writeFile,
} from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { answers, freePort, isFree } from './local-port.ts'
import { type PostgresBinaries, packagedPostgres, usableBinaries } from './postgres-binaries.ts'
import { isAlive } from './process-alive.ts'
import { type ProgramResult, runProgram } from './run-program.ts'
import { type Account, canEnter, serverAccount, sharedTemporaryFolder } from './server-account.ts'

export type EmbeddedPostgresOptions = {
  /** The folder of this server; created if missing. */
  readonly dataDir: string
  /** 0 or absent: a free port, stored in the folder for the next start. */
  readonly port?: number
  /** Additional server settings, by name (https://www.postgresql.org/docs/18/runtime-config.html). */
  readonly settings?: Readonly<Record<string, string>>
  /** A folder with `bin`, `lib` and `share` instead of the one from the npm package. */
  readonly binaries?: string
}

export type EmbeddedPostgres = {
  /** With the password, for the database `postgres`. */
  readonly url: string
  readonly port: number
  /** The server's version, such as `18.4`. */
  readonly version: string
  /** The process id of the postmaster. */
  readonly pid: number
  /** The data folder: elsewhere if the account of Postgres can't enter the requested one. */
  readonly dataDir: string
  /** Ends every connection and the server; `immediate` is like a crash. Repeatable. */
  stop(mode?: 'fast' | 'immediate'): Promise<void>
}

type Cluster = { dataDir: string; folder: string; account: Account | null; binaries: PostgresBinaries }

const startTimeoutS = 60
const stopTimeoutS = 20

/**
 * Starts a PostgreSQL on 127.0.0.1 with logical replication, and initializes its data the first time. It has its own session,
 * so that Ctrl-C does not reach it; it runs until `stop`. A running server on the same data is taken over.
 *
 * @throws Error with one message: the finding and the fix
 */
export async function startEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  const cluster = await openCluster(options)
  const version = await checkVersion(cluster)
  await makeCluster(cluster, options)
  const port = await ensureRunning(cluster, options)
  const pid = (await runningServer(cluster))?.pid
  if (pid === undefined) throw new Error(`PostgreSQL ended right after its start: see ${logFile(cluster)}.`)
  await writeFile(ownerFile(cluster), `${process.pid}\n`)
  const password = (await readFile(join(cluster.folder, 'password'), 'utf8')).trim()
  return {
    url: `postgres://postgres:${password}@127.0.0.1:${port}/postgres`,
    port,
    version,
    pid,
    dataDir: cluster.dataDir,
    stop: mode => stopServer(cluster, mode ?? 'fast'),
  }
}

/** Stops a server that a killed process left running in the folder, and deletes its data. */
export async function removeEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<void> {
  const cluster = await openCluster(options)
  await stopServer(cluster, 'immediate')
  await rm(cluster.dataDir, { recursive: true, force: true })
}

const ownerFile = (cluster: Cluster) => join(cluster.dataDir, 'owner')
const logFile = (cluster: Cluster) => join(cluster.dataDir, 'server.log')

async function openCluster({ dataDir: requested, binaries }: EmbeddedPostgresOptions): Promise<Cluster> {
  const absolute = resolve(requested)
  await mkdir(dirname(absolute), { recursive: true })
  let dataDir = join(await realpath(dirname(absolute)), basename(absolute))
  const owner = await lstat(dataDir).catch(() => null)
  if (owner !== null && process.getuid !== undefined && ![0, owner.uid].includes(process.getuid())) {
    throw new Error(
      `${dataDir} belongs to another user (id ${owner.uid}). Run as that user, or remove the folder.`,
    )
  }
  const account = await serverAccount(owner)
  if (account !== null && !(await canEnter(account, dirname(dataDir)))) {
    const name = createHash('sha256').update(dataDir).digest('hex').slice(0, 12)
    dataDir = join(await sharedTemporaryFolder(account), `walhook-data-${name}`)
  }
  await mkdir(dataDir, { recursive: true, mode: 0o700 })
  const found = await lstat(dataDir)
  if (!found.isDirectory() || (account !== null && ![0, account.uid].includes(found.uid))) {
    throw new Error(`${dataDir} is not a folder of ours (owner: user ${found.uid}). Remove it.`)
  }
  if (account !== null) await chown(dataDir, account.uid, account.gid)
  await chmod(dataDir, 0o700)
  const usable = await usableBinaries(binaries ?? (await packagedPostgres()), account)
  return { dataDir, folder: join(dataDir, 'cluster'), account, binaries: usable }
}

async function checkVersion(cluster: Cluster): Promise<string> {
  const { output } = await run(cluster, cluster.binaries.postgres, ['--version'])
  const version = /\(PostgreSQL\) (\S+)/.exec(output)?.[1]
  if (version === undefined) throw new Error(`${cluster.binaries.postgres} --version says: ${output}`)
  const ofData = await readFile(join(cluster.folder, 'PG_VERSION'), 'utf8').catch(() => null)
  if (ofData !== null && ofData.trim() !== version.split('.')[0]) {
    throw new Error(
      `The data in ${cluster.dataDir} was made by PostgreSQL ${ofData.trim()}, this is ${version}. Remove the folder.`,
    )
  }
  return version
}

/** Initializes the data beside its place and moves it there: the place only has complete data. */
async function makeCluster(cluster: Cluster, { settings }: EmbeddedPostgresOptions): Promise<void> {
  const { account, dataDir, folder } = cluster
  for (const name of await readdir(dataDir)) {
    const maker = Number(/^cluster\.new-(\d+)/.exec(name)?.[1])
    if (maker === process.pid || (maker > 0 && !isAlive(maker)))
      await rm(join(dataDir, name), { recursive: true })
  }
  const whole = ['PG_VERSION', 'global/pg_control', 'password']
  const present = await Promise.all(whole.map(name => lstat(join(folder, name)).catch(() => null)))
  if (!present.includes(null)) return

  await rm(folder, { recursive: true, force: true })
  const half = join(dataDir, `cluster.new-${process.pid}`)
  const passwordFile = `${half}.password`
  await writeFile(passwordFile, `${randomBytes(18).toString('hex')}\n`, { mode: 0o600 })
  if (account !== null) await chown(passwordFile, account.uid, account.gid)
  const result = await run(cluster, cluster.binaries.initdb, [
    `--pgdata=${half}`,
    '--username=postgres',
    `--pwfile=${passwordFile}`,
    '--auth=scram-sha-256',
    '--encoding=UTF8',
    '--no-locale',
    '--no-instructions',
    ...(settings?.fsync === 'off' ? ['--no-sync'] : []),
  ])
  if (result.code !== 0) throw new Error(`initdb could not make a database in ${half}:\n${result.output}`)
  const conf = join(half, 'postgresql.conf')
  await writeFile(conf, "\ninclude_if_exists 'walhook.conf'\n", { flag: 'a' })
  await rename(passwordFile, join(half, 'password'))
  await rename(half, folder)
}

/** The port of the server with these settings. */
async function ensureRunning(
  cluster: Cluster,
  { port = 0, settings = {} }: EmbeddedPostgresOptions,
): Promise<number> {
  const file = join(cluster.folder, 'walhook.conf')
  const written = await readFile(file, 'utf8').catch(() => '')
  const remembered = Number(/^port = '(\d+)'$/m.exec(written)?.[1] ?? 0)
  const running = await runningServer(cluster)
  if (running !== null) {
    await refuseIfInUse(cluster)
    if (running.isReady && serverSettings(port || remembered, settings) === written) return running.port
    await stopServer(cluster, 'fast')
  }
  if (port !== 0 && !(await isFree(port))) {
    throw new Error(
      `Port ${port} on 127.0.0.1 is taken by another program. Stop that, or choose another port.`,
    )
  }
  let chosen = port || remembered
  for (let triesLeft = 3; ; triesLeft--) {
    if (port === 0 && (chosen === 0 || !(await isFree(chosen)))) chosen = await freePort()
    await writeFile(file, serverSettings(chosen, settings))
    if (cluster.account !== null) await chown(file, cluster.account.uid, cluster.account.gid)
    await rm(logFile(cluster), { force: true })
    const { code, output } = await pgCtl(cluster, [
      '-l',
      logFile(cluster),
      '-w',
      '-t',
      `${startTimeoutS}`,
      'start',
    ])
    if (code === 0) return chosen
    const log = await readFile(logFile(cluster), 'utf8').catch(() => output)
    await stopServer(cluster, 'immediate')
    const lostTheRace = port === 0 && triesLeft > 1 && log.includes('could not bind')
    if (!lostTheRace) throw new Error(`PostgreSQL did not start on ${cluster.folder}:\n${lastLines(log)}`)
    chosen = 0
  }
}

function serverSettings(port: number, extra: Readonly<Record<string, string>>): string {
  const all = {
    port: String(port),
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    max_connections: '200',
    wal_level: 'logical',
    max_replication_slots: '60',
    max_wal_senders: '60',
    ...extra,
  }
  return Object.entries(all)
    .map(([name, value]) => `${name} = '${value.replaceAll('\\', '\\\\').replaceAll("'", "''")}'\n`)
    .join('')
}

async function stopServer(cluster: Cluster, mode: 'fast' | 'immediate'): Promise<void> {
  // A fast stop waits for walsenders whose client no longer reads: after a while it becomes immediate.
  for (const how of mode === 'fast' ? (['fast', 'immediate'] as const) : ([mode] as const)) {
    const server = await runningServer(cluster)
    if (server === null) break
    await pgCtl(cluster, ['-m', how, '-w', '-t', `${stopTimeoutS}`, 'stop'])
    // pg_ctl waits for the lock file, which is removed just before the process ends.
    for (let triesLeft = 100; triesLeft > 0 && isAlive(server.pid); triesLeft--) await sleep(10)
  }
  const left = await runningServer(cluster)
  if (left !== null) throw new Error(`PostgreSQL (process ${left.pid}) on ${cluster.folder} does not stop.`)
  await rm(ownerFile(cluster), { force: true })
}

async function refuseIfInUse(cluster: Cluster): Promise<void> {
  const owner = Number(await readFile(ownerFile(cluster), 'utf8').catch(() => '0'))
  if (owner > 0 && owner !== process.pid && isAlive(owner)) {
    throw new Error(
      `The database in ${cluster.dataDir} is in use by process ${owner}. Stop that first ` +
        `(if it is none of ours, remove ${ownerFile(cluster)}).`,
    )
  }
}

/**
 * The running server of the cluster, from its lock file (https://www.postgresql.org/docs/18/storage-file-layout.html); null:
 * none. After a machine crash the file may name another process: without a listener on its port, it must not be stopped.
 */
async function runningServer(
  cluster: Cluster,
): Promise<{ pid: number; port: number; isReady: boolean } | null> {
  const lock = await readFile(join(cluster.folder, 'postmaster.pid'), 'utf8').catch(() => '')
  const lines = lock.split('\n').map(line => line.trim())
  const [pid, port] = [Number(lines[0]), Number(lines[3])]
  if (!(pid > 0 && port > 0 && isAlive(pid) && (await answers(port)))) return null
  return { pid, port, isReady: lines[7] === 'ready' }
}

const pgCtl = (cluster: Cluster, args: readonly string[]) =>
  run(cluster, cluster.binaries.pgCtl, ['-D', cluster.folder, ...args])

const run = (
  { account, dataDir }: Cluster,
  program: string,
  args: readonly string[],
): Promise<ProgramResult> => runProgram(program, args, { account, folder: dataDir })

const lastLines = (text: string) => text.trimEnd().split('\n').slice(-12).join('\n')
