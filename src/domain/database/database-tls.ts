import { nearest } from '../value/nearest.ts'

/** TLS of a connection, as the parameters of its URL say. */
export type DatabaseTls = {
  /** `require` encrypts and verifies nothing; `verify-ca` verifies the authority, `verify-full` the host name too. */
  readonly mode: 'disable' | 'require' | 'verify-ca' | 'verify-full'
  /** Null: the authorities that Node.js trusts. */
  readonly rootFile: string | null
  readonly client: { readonly certFile: string; readonly keyFile: string; readonly password?: string } | null
  readonly minVersion: TlsVersion | null
  readonly maxVersion: TlsVersion | null
  readonly channelBinding: 'disable' | 'prefer' | 'require'
}

const versions = ['TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3'] as const
type TlsVersion = (typeof versions)[number]

type Result = { readonly value: DatabaseTls | null } | { readonly wrong: readonly string[] }

/** The parameters that this file reads. */
export const tlsParameters = [
  'ssl',
  'sslmode',
  'sslrootcert',
  'sslcert',
  'sslkey',
  'sslpassword',
  'ssl_min_protocol_version',
  'ssl_max_protocol_version',
  'channel_binding',
] as const

/** Parameters of libpq that would make a connection safer, or lead it elsewhere, and that walhook cannot follow. */
const refused: Readonly<Record<string, string>> = {
  require_auth: 'which walhook cannot enforce: remove it',
  requirepeer: 'which walhook cannot enforce: remove it',
  sslcrl: 'which walhook does not read: remove it',
  sslcrldir: 'which walhook does not read: remove it',
  hostaddr: 'which walhook does not read: name the address as the host',
  service: 'which walhook does not read: write its settings into the URL',
  dbname: 'which walhook does not read: name the database behind the slash',
}

/** A misspelt one would be ignored, and the connection less safe than it seems. */
const oftenMisspelt = [
  ...tlsParameters.filter(name => name !== 'ssl'),
  'sslnegotiation',
  'gssencmode',
  'target_session_attrs',
]
/** Names of libpq that resemble them. */
const others = [
  'ssl',
  'sslsni',
  'sslcertmode',
  'sslkeylogfile',
  'min_protocol_version',
  'max_protocol_version',
]

const modes = ['disable', 'require', 'verify-ca', 'verify-full'] as const

/**
 * Reads the parameters about TLS as libpq does, and refuses by name what walhook would do otherwise. Null: none is given. A
 * problem never repeats a value that is not a word of libpq.
 * https://www.postgresql.org/docs/current/libpq-ssl.html
 */
export function readDatabaseTls(params: URLSearchParams): Result {
  const last = (name: string) => params.getAll(name).at(-1) || null
  const wrong = [...problemsOfNames(params)]
  const rootFile = last('sslrootcert')
  const [certFile, keyFile, password] = [last('sslcert'), last('sslkey'), last('sslpassword')]
  if ((certFile === null) !== (keyFile === null))
    wrong.push(certFile === null ? 'sslkey without sslcert' : 'sslcert without sslkey')
  const stated = modeOf(last('sslmode'), last('ssl'))
  if ('wrong' in stated) return { wrong: [...wrong, stated.wrong] }
  const mode = stated.mode ?? (rootFile === null && certFile === null ? null : 'verify-full')
  if (rootFile === 'system' && mode !== 'verify-full' && mode !== 'disable')
    wrong.push(`sslrootcert=system with sslmode=${mode}: it needs sslmode=verify-full`)
  if (mode === 'verify-ca' && rootFile === null)
    wrong.push(
      'sslmode=verify-ca without sslrootcert, which any certificate of a public authority satisfies: add sslrootcert, or use verify-full',
    )
  const channelBinding = oneOf('channel_binding', last('channel_binding') ?? 'disable', [
    'disable',
    'prefer',
    'require',
  ] as const)
  const [minVersion, maxVersion] = (['ssl_min_protocol_version', 'ssl_max_protocol_version'] as const).map(
    name => oneOf(name, last(name), [null, ...versions]),
  )
  for (const one of [channelBinding, minVersion!, maxVersion!]) if ('wrong' in one) wrong.push(one.wrong)
  const hasTls = mode !== null && mode !== 'disable'
  for (const [name, value] of [
    ['channel_binding', 'require'],
    ['sslnegotiation', 'direct'],
  ])
    if (last(name!) === value && !hasTls) wrong.push(`${name}=${value} without TLS: add sslmode`)
  if (wrong.length > 0) return { wrong }
  if (mode === null) return { value: null }
  const value = <T>(read: { value: T } | { wrong: string }) => (read as { value: T }).value
  return {
    value: {
      // As in libpq: with an authority's file, `require` verifies it.
      mode: mode === 'require' && rootFile !== null ? 'verify-ca' : mode,
      rootFile: rootFile === 'system' ? null : rootFile,
      client: certFile && keyFile ? { certFile, keyFile, ...(password && { password }) } : null,
      minVersion: value(minVersion!),
      maxVersion: value(maxVersion!),
      channelBinding: value(channelBinding),
    },
  }
}

function* problemsOfNames(params: URLSearchParams): Generator<string> {
  for (const name of new Set(params.keys())) {
    if (Object.hasOwn(refused, name)) yield `${name}, ${refused[name]}`
    else if (!oftenMisspelt.includes(name) && !others.includes(name)) {
      const meant = nearest(name, oftenMisspelt)
      // Not the name itself: behind a `?` in a password, it is a piece of it.
      if (meant !== null) yield `an unknown parameter (did you mean ${meant}?)`
    }
  }
  if (params.getAll('gssencmode').at(-1) === 'require')
    yield 'gssencmode=require, which walhook cannot do: use TLS'
}

type Mode = (typeof modes)[number]

/** `ssl` and `no-verify` are from other drivers. https://node-postgres.com/features/ssl */
function modeOf(sslmode: string | null, ssl: string | null): { mode: Mode | null } | { wrong: string } {
  const stated = sslmode ?? (ssl === 'no-verify' || ssl === 'true' || ssl === '1' ? 'require' : null)
  if (stated === null) return { mode: ssl === 'false' || ssl === '0' ? 'disable' : null }
  if (stated === 'no-verify') return { mode: 'require' }
  if (stated === 'allow' || stated === 'prefer')
    return { wrong: `sslmode=${stated}, which may connect without TLS: use ${modes.join(', ')}` }
  const read = oneOf('sslmode', stated, modes)
  return 'wrong' in read ? read : { mode: read.value }
}

function oneOf<T extends string | null>(
  name: string,
  stated: string | null,
  known: readonly T[],
): { readonly value: T } | { readonly wrong: string } {
  const value = known.find(one => one === stated)
  if (value !== undefined) return { value }
  return { wrong: `an unknown ${name}: use ${known.filter(one => one !== null).join(', ')}` }
}
