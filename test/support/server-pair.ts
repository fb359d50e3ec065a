import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { type EmbeddedPostgres, removeEmbeddedPostgres } from '../../playground/embedded-postgres.ts'
import { packagedPostgres } from '../../playground/postgres-binaries.ts'
import { connect } from './connect.ts'
import { startOwnServer } from './own-server.ts'
import { until } from './wait.ts'

export type ServerPair = Awaited<ReturnType<typeof openServerPair>>

type Options = {
  readonly settings?: Readonly<Record<string, string>>
  /** Of the standby, beside how it reaches its primary. */
  readonly standbySettings?: Readonly<Record<string, string>>
  /** Where the standby's slot on the primary is used, made before the primary is copied. */
  readonly slot?: string
  /** Beside the newest one: `embedded-postgres-15`. */
  readonly package?: string
}

/** A primary and its standby, two servers on one address. What they hold is what `statements` have made before they were two. */
export async function openServerPair(statements: readonly string[], options: Options = {}) {
  const { settings = {}, slot } = options
  const binaries = options.package && (await packagedPostgres(undefined, undefined, options.package))
  const start = (dataDir: string, more: Readonly<Record<string, string>> = {}) =>
    startOwnServer(dataDir, { ...settings, ...more }, binaries)
  const folder = await mkdtemp(join(tmpdir(), 'walhook-pair-'))
  let primary: EmbeddedPostgres = await start(folder)
  {
    await using psql = await connect(primary.url)
    for (const statement of statements) await psql.query(statement)
    if (slot) await psql.query('select pg_create_physical_replication_slot($1, true)', [slot])
  }
  await primary.stop()
  const copy = `${primary.dataDir}-standby`
  await promisify(execFile)('cp', ['-a', primary.dataDir, copy])
  await writeFile(join(copy, 'cluster', 'standby.signal'), '')
  primary = await start(folder)
  const { username, password, hostname, port } = new URL(primary.url)
  const standbySettings = {
    ...options.standbySettings,
    ...(slot && { primary_slot_name: slot }),
    primary_conninfo: `host=${hostname} port=${port} user=${username} password=${password} dbname=postgres application_name=standby`,
  }
  const startStandby = () => start(copy, standbySettings)
  const standby = await startStandby()
  const several = new URL(primary.url)
  return {
    primary,
    standby,
    folder,
    start,
    startStandby,
    /** Of both, the primary first. */
    url: several.href.replace(several.host, `127.0.0.1:${primary.port},127.0.0.1:${standby.port}`),
    /** Waits until the standby follows: from then on, its primary may wait for it. */
    async follows() {
      await using psql = await connect(primary.url)
      await until(
        async () =>
          (await psql.query(`select from pg_stat_replication where state = 'streaming'`)).rowCount === 1,
        { what: 'the standby to stream' },
      )
    },
    /** Sets what takes effect while a server runs: whom the primary waits for, say. */
    async set(settings: Readonly<Record<string, string>>, server: 'primary' | 'standby' = 'primary') {
      await using psql = await connect(server === 'primary' ? primary.url : standby.url)
      for (const [name, value] of Object.entries(settings))
        await psql.query(`alter system set ${name} = '${value}'`)
      await psql.query('select pg_reload_conf()')
      await until(
        async () => {
          const { rows } = await psql.query('select name, setting from pg_settings where name = any($1)', [
            Object.keys(settings),
          ])
          return rows.every(({ name, setting }) => setting === settings[name])
        },
        { what: 'the settings to take' },
      )
    },
    async promote() {
      await using psql = await connect(standby.url)
      await psql.query('select pg_promote()')
    },
    async [Symbol.asyncDispose]() {
      await standby.stop('immediate')
      await primary.stop('immediate')
      await rm(copy, { recursive: true, force: true })
      await removeEmbeddedPostgres({ dataDir: folder })
    },
  }
}
