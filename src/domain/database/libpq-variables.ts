import { isIPv6 } from 'node:net'
import { urlShape } from './database-url.ts'

/**
 * Variables of libpq, each with the parameter of a URL that it is the default of. What walhook sets itself is not among them
 * (PGAPPNAME, PGCONNECT_TIMEOUT, PGCLIENTENCODING).
 * https://www.postgresql.org/docs/current/libpq-envars.html
 */
const parameterOf = {
  PGHOST: 'host',
  PGHOSTADDR: 'hostaddr',
  PGPORT: 'port',
  PGDATABASE: 'dbname',
  PGUSER: 'user',
  PGPASSWORD: 'password',
  PGPASSFILE: 'passfile',
  PGOPTIONS: 'options',
  PGSERVICE: 'service',
  PGREQUIREAUTH: 'require_auth',
  PGREQUIREPEER: 'requirepeer',
  PGCHANNELBINDING: 'channel_binding',
  PGGSSENCMODE: 'gssencmode',
  PGSSLMODE: 'sslmode',
  PGSSLNEGOTIATION: 'sslnegotiation',
  PGSSLROOTCERT: 'sslrootcert',
  PGSSLCERT: 'sslcert',
  PGSSLKEY: 'sslkey',
  PGSSLCRL: 'sslcrl',
  PGSSLCRLDIR: 'sslcrldir',
  PGSSLMINPROTOCOLVERSION: 'ssl_min_protocol_version',
  PGSSLMAXPROTOCOLVERSION: 'ssl_max_protocol_version',
  PGTARGETSESSIONATTRS: 'target_session_attrs',
} as const

type LibpqVariable = keyof typeof parameterOf
const libpqVariables = Object.keys(parameterOf) as LibpqVariable[]

/** A URL with what it left out, and the variables that said it. */
type Completed = { readonly url: string; readonly from: readonly LibpqVariable[] }

/**
 * Writes into a database URL what libpq would take from the environment: every parameter that the URL leaves out. A text that is no
 * URL stays as it is, to be refused as such.
 */
export function completeDatabaseUrl(
  text: string,
  env: Readonly<Record<string, string | undefined>>,
): Completed {
  const [, authority = '', rest = ''] = urlShape.exec(text) ?? []
  const at = authority.lastIndexOf('@') + 1
  const url = URL.parse(`postgres://${authority.slice(0, at)}host${rest}`)
  if (!urlShape.test(text) || url === null) return { url: text, from: [] }
  let hosts = authority.slice(at)
  const params = url.searchParams
  const isIn = (name: string) => Boolean(params.getAll(name).at(-1))
  const isGiven: Partial<Record<(typeof parameterOf)[LibpqVariable], boolean>> = {
    host: hosts.replaceAll(/:\d*(?=,|$)/g, '') !== '' || isIn('host'),
    port: isIn('port') || /:\d+(,|$)/.test(hosts),
    dbname: url.pathname.length > 1 || isIn('dbname'),
    user: url.username !== '' || isIn('user'),
    password: url.password !== '' || isIn('password'),
    sslmode: isIn('sslmode') || isIn('ssl'),
  }
  const from = libpqVariables.filter(
    name => env[name] && !(isGiven[parameterOf[name]] ?? isIn(parameterOf[name])),
  )
  if (from.length === 0) return { url: text, from }
  for (const name of from) {
    const value = env[name]!
    if (name === 'PGHOST') hosts = value.split(',').map(inUrl).join(',') + hosts
    else if (name === 'PGDATABASE') url.pathname = `/${encodeURI(value)}`
    else if (name === 'PGUSER') url.username = encodeURIComponent(value)
    else if (name === 'PGPASSWORD') url.password = encodeURIComponent(value)
    else params.set(parameterOf[name], value)
  }
  const { username, password } = url
  const login = username || password ? `${username}${password && `:${password}`}@` : ''
  return { url: `postgres://${login}${hosts}${url.pathname}${url.search}`, from }
}

const inUrl = (host: string) => (isIPv6(host) ? `[${host}]` : encodeURIComponent(host))
