import { isIPv6 } from 'node:net'
import { nearest } from '../value/nearest.ts'
import type { WantedServer } from './choose-server.ts'
import { type DatabaseTls, readDatabaseTls } from './database-tls.ts'

/** One server of a database URL. `url` contains this server only; `name` is for messages, without secrets. */
export type DatabaseServer = {
  readonly name: string
  /** A host name, an address, or a socket's folder. */
  readonly host: string
  readonly port: number
  readonly url: string
}

export type DatabaseUrl = {
  /** In the order of the URL. `only`: something else decides host and port. */
  readonly servers: readonly DatabaseServer[] | 'only'
  readonly wants: WantedServer
  /** Null: the URL says nothing about TLS. */
  readonly tls: DatabaseTls | null
}

type Result = { readonly value: DatabaseUrl } | { readonly wrong: readonly string[] }

const defaultPort = 5432
/** Scheme, authority, and the rest. */
export const urlShape = /^postgres(?:ql)?:\/\/([^/?#]*)(.*)$/is
const address = /^(?:\[([^\]]*)\]|([^:[\]]*))(?::(\d*))?$/

/** Parameters of libpq that walhook refuses, each with the reason. */
const unusable: Readonly<Record<string, string>> = {
  'read-only': 'which chooses a read-only server',
  standby: 'which chooses a standby, which is read-only',
  'prefer-standby': 'which prefers a standby, which is read-only',
}
const usable = ['any', 'read-write', 'primary']

/**
 * Reads a URL with one or several servers, like libpq: `a:5432,b:5433` or `?host=a,b&port=5432,5433`, and
 * `target_session_attrs`, which defaults to `read-write` with several hosts. A problem names the position and never repeats
 * the text: it may contain a password. https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-MULTIPLE-HOSTS
 */
export function parseDatabaseUrl(text: string): Result {
  const [, authority = '', rest = ''] = urlShape.exec(text) ?? []
  const login = authority.slice(0, authority.lastIndexOf('@') + 1)
  const skeleton = URL.parse(`postgres://${login}host${rest}`)
  if (!urlShape.test(text) || skeleton === null) return notAUrl
  const last = (name: string) => skeleton.searchParams.getAll(name).at(-1) || null
  const names = last('host')
  const ports = last('port')
  const hosts = (names ?? authority.slice(login.length)).split(',')
  const isSeveral = hosts.length > 1 || (ports?.includes(',') ?? false)
  const attrs = last('target_session_attrs') ?? (isSeveral ? 'read-write' : 'any')
  const problem = problemOfAttrs(attrs, isSeveral)
  const secured = readDatabaseTls(skeleton.searchParams)
  const problems = [...(problem === null ? [] : [problem]), ...('wrong' in secured ? secured.wrong : [])]
  if (problems.length > 0 || 'wrong' in secured) return { wrong: problems }
  const wants = attrs as WantedServer
  const tls = secured.value
  if (!isSeveral) return URL.canParse(text) ? { value: { servers: 'only', wants, tls } } : notAUrl
  const read = names === null ? hosts.map(readAddress) : hosts.map(host => ({ host, port: '' }))
  const portOf = portsOf(ports, read)
  const wrong = read.flatMap(({ host }, at) => {
    const nth = `host ${at + 1} of ${hosts.length}`
    if (host === null) return [`${nth} is not a host, or has no port from 1 to 65535 behind its colon`]
    if (host === '') return [`${nth} is empty`]
    return portOf && portOf(at) === null ? [`${nth} has no port from 1 to 65535`] : []
  })
  if (!portOf) wrong.push(`${hosts.length} hosts and ${ports!.split(',').length} ports`)
  if (wrong.length > 0) return { wrong }
  return {
    value: { servers: read.map(({ host }, at) => serverAt(skeleton, host!, portOf!(at)!)), wants, tls },
  }
}

const notAUrl = { wrong: ['not a Postgres URL'] }

function problemOfAttrs(attrs: string, isSeveral: boolean): string | null {
  const setting = `target_session_attrs=${attrs}`
  if (unusable[attrs]) return `${setting}, ${unusable[attrs]}`
  if (attrs === 'any' && isSeveral)
    return `${setting} with several hosts, which leads to a standby where one answers first`
  if (usable.includes(attrs)) return null
  const meant = nearest(attrs, [...usable, ...Object.keys(unusable)])
  return `an unknown target_session_attrs${meant === null ? '' : ` (did you mean ${meant}?)`}`
}

/** `a`, `a:5432`, `[::1]`, `[::1]:5432`, or a socket's folder as `%2Ftmp`. A null host: none of these. */
function readAddress(text: string): { readonly host: string | null; readonly port: string } {
  const [matched, inBrackets, plain, port = ''] = address.exec(text) ?? []
  if (matched === undefined) return { host: null, port: '' }
  try {
    const host = decodeURIComponent(inBrackets ?? plain!)
    return { host: inBrackets === undefined || isIPv6(host) ? host : null, port }
  } catch {
    return { host: null, port: '' }
  }
}

/** The port of each host, null if invalid; null as a whole unless there is one port, or one per host. */
function portsOf(
  given: string | null,
  hosts: readonly { readonly port: string }[],
): ((at: number) => number | null) | null {
  const ports = given === null ? hosts.map(({ port }) => port) : given.split(',')
  if (ports.length !== 1 && ports.length !== hosts.length) return null
  return at => readPort(ports.length === 1 ? ports[0]! : ports[at]!)
}

function readPort(text: string): number | null {
  if (text === '') return defaultPort
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0
  return port >= 1 && port <= 65_535 ? port : null
}

/** node-postgres ignores the host before the path if the query has one. */
function serverAt(skeleton: URL, host: string, port: number): DatabaseServer {
  const url = new URL(skeleton)
  url.searchParams.delete('target_session_attrs')
  url.searchParams.set('host', host)
  url.searchParams.set('port', String(port))
  return { name: `${host.includes(':') ? `[${host}]` : host}:${port}`, host, port, url: url.href }
}
