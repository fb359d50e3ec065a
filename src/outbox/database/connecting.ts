import { readFileSync } from 'node:fs'
import { readFile, stat } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import type { ConnectionOptions } from 'node:tls'
import pg from 'pg'
import { chooseServer, type ServerFacts, whyUnsuitable } from '../../domain/database/choose-server.ts'
import { type DatabaseTls, readDatabaseTls, tlsParameters } from '../../domain/database/database-tls.ts'
import {
  type DatabaseServer,
  type DatabaseUrl,
  parseDatabaseUrl,
} from '../../domain/database/database-url.ts'
import { findPassword, type PasswordOwner } from '../../domain/database/password-file.ts'
import { describeError } from '../../runtime/log.ts'

/** Parameters of a URL that would override ours. */
const ours = [
  'client_encoding',
  'statement_timeout',
  'lock_timeout',
  'idle_in_transaction_session_timeout',
  'query_timeout',
  'replication',
  'binary',
]

/** The time limit for a new connection's answer. */
export const responseTimeoutMs = 4_000
/** How long a suitable server waits for the others' answers: one may be on a newer timeline. */
const othersMs = 300

const startingOrStopping = /^57P0[123]$/

/** Thrown if no server of a URL is suitable. The code is that of an unreachable host, or of a starting or stopping server. */
class NoServer extends Error {
  readonly code: string
  constructor(whyNot: readonly { readonly name: string; readonly reason: string; readonly code: string }[]) {
    super(`no server to use: ${whyNot.map(({ name, reason }) => `${name}: ${reason}`).join('; ')}`)
    this.code = whyNot.find(({ code }) => startingOrStopping.test(code))?.code ?? 'EHOSTUNREACH'
  }
}

/** The configuration of a connection to a URL's server, which is searched among several. */
export async function connectionTo(url: string, name: string): Promise<pg.ClientConfig> {
  const server = await findServer(url)
  return configFor(server?.url ?? url, name)
}

/**
 * The same for a client that searches itself, as `WatchedClient` does: until then it has the first server's address.
 * `options` of the URL are kept, and `setUpSession` overrides them.
 */
export function connectionConfig(url: string, name: string): pg.ClientConfig {
  const { servers } = readUrl(url)
  return configFor(servers === 'only' ? url : servers[0]!.url, name)
}

function configFor(url: string, name: string): pg.ClientConfig {
  return {
    connectionString: withoutParameters(url, ours),
    application_name: name,
    connectionTimeoutMillis: 10_000,
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
  }
}

function readUrl(url: string): DatabaseUrl {
  const parsed = parseDatabaseUrl(url)
  if ('value' in parsed) return parsed.value
  throw new Error(`a database URL is wrong: ${parsed.wrong.join('; ')}`)
}

/** The hosts of a URL, and its TLS. */
export function readHosts(url: string): {
  readonly hosts: readonly string[]
  readonly tls: DatabaseTls | null
} {
  const { servers, tls } = readUrl(url)
  if (servers !== 'only') return { hosts: servers.map(({ host }) => host), tls }
  const { hostname, searchParams } = new URL(url)
  return { hosts: [searchParams.get('host') || hostname || 'localhost'], tls }
}

/** Concurrent searches for a URL share one answer. */
const looking = new Map<string, Promise<DatabaseServer>>()

/**
 * The server to connect to; null: the URL has only one. All are asked at once, so that a silent one delays nobody, and for
 * each new connection. Throws `NoServer`.
 */
export async function findServer(url: string): Promise<DatabaseServer | null> {
  const { servers, wants } = readUrl(url)
  if (servers === 'only') return null
  const running = looking.get(url)
  if (running) return await running
  const found = ask(servers, wants).finally(() => looking.delete(url))
  looking.set(url, found)
  return await found
}

type Suitable = { readonly server: DatabaseServer; readonly timeline: number | null }

async function ask(servers: readonly DatabaseServer[], wants: DatabaseUrl['wants']): Promise<DatabaseServer> {
  const suitable: (Suitable | undefined)[] = []
  const whyNot: { name: string; reason: string; code: string }[] = []
  const first = Promise.withResolvers<void>()
  const all = Promise.all(
    servers.map(async (server, at) => {
      try {
        const facts = await factsOf(server)
        const reason = whyUnsuitable(wants, facts)
        if (reason !== null) return void whyNot.push({ name: server.name, reason, code: '' })
        suitable[at] = { server, timeline: facts.timeline }
        first.resolve()
      } catch (error) {
        const { code = '' } = error as { code?: string }
        whyNot.push({ name: server.name, reason: describeError(error), code })
      }
    }),
  )
  await Promise.race([all, first.promise])
  let timer: NodeJS.Timeout | undefined
  await Promise.race([all, new Promise(resolve => (timer = setTimeout(resolve, othersMs)))])
  clearTimeout(timer)
  const chosen = chooseServer(suitable.filter(one => one !== undefined))
  if (chosen === null) throw new NoServer(whyNot)
  return chosen.server
}

/** As texts: pools differ in parsing other types. */
const factsStatement = `
select case when pg_catalog.pg_is_in_recovery() then 'standby' else 'primary' end as role,
       pg_catalog.current_setting('transaction_read_only') as read_only,
       case when pg_catalog.pg_is_in_recovery() then null
            else pg_catalog.left(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_insert_lsn()), 8)
       end as timeline`

const factsOf = async (server: DatabaseServer): Promise<ServerFacts> =>
  readFacts(await overNewConnection(server.url, 'walhook hosts', factsStatement, []))

type FactsRow = { readonly role: string; readonly read_only: string; readonly timeline: string | null }

function readFacts([row]: readonly FactsRow[]): ServerFacts {
  const { role, read_only, timeline } = row!
  return {
    isStandby: role === 'standby',
    isReadOnly: read_only === 'on',
    timeline: timeline === null ? null : Number.parseInt(timeline, 16),
  }
}

/**
 * Throws if a new session's server does not fit its URL: it may have become a standby, or the name may point elsewhere. Asks
 * before changing any setting.
 */
export async function refuseUnsuitable(client: pg.ClientBase, url: string, server: DatabaseServer | null) {
  const { wants } = readUrl(url)
  if (wants === 'any') return
  const facts = readFacts((await client.query(factsStatement)).rows)
  const reason = whyUnsuitable(wants, facts)
  if (reason !== null) throw new NoServer([{ name: server?.name ?? 'the server', reason, code: '' }])
}

/**
 * Runs one query over a connection of its own, within `responseTimeoutMs`, as the role that logs in: a role that its sessions are set to
 * does not see what they wait for.
 */
export async function overNewConnection(
  serverUrl: string,
  name: string,
  text: string,
  values: unknown[],
  // biome-ignore lint/suspicious/noExplicitAny: as node-postgres gives it
): Promise<any[]> {
  const client = new DatabaseClient({
    ...configFor(serverUrl, name),
    connectionTimeoutMillis: responseTimeoutMs,
  })
  const destroy = () =>
    (client as unknown as { connection: { stream: { destroy(): void } } }).connection.stream.destroy()
  client.on('error', () => {})
  const timer = setTimeout(destroy, responseTimeoutMs)
  try {
    await client.connect()
    await client.query('set role none')
    return (await client.query(text, values)).rows
  } finally {
    clearTimeout(timer)
    destroy()
  }
}

/** Internals of node-postgres: the startup parameters. */
type Startup = { connectionParameters: { options?: string; replication?: unknown } }

/**
 * A connection that follows its URL like libpq: node-postgres reads TLS differently, and completes a URL from the environment.
 * Files are read for each connection, since certificates and passwords are renewed.
 */
export class DatabaseClient extends pg.Client {
  constructor(config: pg.ClientConfig & { readonly replication?: string }) {
    const { connectionString = '' } = config
    const params = connectionString ? new URL(connectionString).searchParams : new URLSearchParams()
    const read = readDatabaseTls(params)
    if ('wrong' in read) throw new Error(`a database URL is wrong: ${read.wrong.join('; ')}`)
    const tls = read.value
    const secured: pg.ClientConfig = {
      ...config,
      ...(connectionString && {
        connectionString: withoutParameters(connectionString, [...tlsParameters, 'uselibpqcompat']),
      }),
      ssl: tls === null || tls.mode === 'disable' ? false : optionsOf(tls),
      sslnegotiation: params.getAll('sslnegotiation').at(-1) === 'direct' ? 'direct' : 'postgres',
      enableChannelBinding: tls !== null && tls.channelBinding !== 'disable',
    }
    super(secured)
    const { connectionParameters } = this as unknown as Startup
    connectionParameters.options = params.getAll('options').at(-1) ?? ''
    connectionParameters.replication = config.replication
    const passwordFile = params.getAll('passfile').at(-1) || null
    const own = this as unknown as { password: unknown }
    if (own.password === null) own.password = (to: PasswordOwner) => readPassword(passwordFile, to)
    if (tls?.channelBinding === 'require') requireChannelBinding(this)
  }
}

/** The password in a file, by default in the one of libpq, which may be absent. */
async function readPassword(named: string | null, to: PasswordOwner): Promise<string | undefined> {
  const path = named ?? join(homedir(), '.pgpass')
  let text: string
  try {
    if (((await stat(path)).mode & 0o077) !== 0)
      throw new Error(`others may read the password file ${path}: run chmod 0600 on it`)
    text = await readFile(path, 'utf8')
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === undefined) throw error
    if (named === null) return undefined
    throw new Error(`the password file ${path} cannot be read (${code})`)
  }
  return findPassword(text, to) ?? undefined
}

function withoutParameters(url: string, names: readonly string[]): string {
  const parsed = new URL(url)
  if (!names.some(name => parsed.searchParams.has(name))) return url
  for (const name of names) parsed.searchParams.delete(name)
  return parsed.href
}

function optionsOf({ mode, rootFile, client, minVersion, maxVersion }: DatabaseTls): ConnectionOptions {
  return {
    ...(mode === 'require' && { rejectUnauthorized: false }),
    ...(rootFile !== null && { ca: readFileSync(rootFile, 'utf8') }),
    ...(mode === 'verify-ca' && { checkServerIdentity: () => undefined }),
    ...(client && {
      cert: readFileSync(client.certFile, 'utf8'),
      key: readFileSync(client.keyFile, 'utf8'),
      ...(client.password !== undefined && { passphrase: client.password }),
    }),
    ...(minVersion && { minVersion }),
    ...(maxVersion && { maxVersion }),
  }
}

/** Internals of node-postgres: the messages of the server. */
type Messages = {
  stream: { destroy(): void }
  once(event: string, listener: (message: { readonly mechanisms?: readonly string[] }) => void): void
  emit(event: 'error', error: Error): void
}

/** Ends a connection whose server does not offer it, before a password is sent. */
function requireChannelBinding(client: pg.Client): void {
  const { connection } = client as unknown as { connection: Messages }
  let isBound = false
  const offers = ['SASL', 'Ok', 'CleartextPassword', 'MD5Password'].map(kind => `authentication${kind}`)
  for (const event of offers)
    connection.once(event, ({ mechanisms = [] }) => {
      isBound ||= mechanisms.includes('SCRAM-SHA-256-PLUS')
      if (isBound) return
      // At once: with the next message, which may be here already, the connection would count as open.
      connection.stream.destroy()
      connection.emit('error', new Error('channel_binding=require, but the server does not offer it'))
    })
}
