import { parseTrustedProxies } from '../domain/access/client-address.ts'
import { parseFrameAncestors } from '../domain/access/frame-ancestors.ts'
import { type PublicUrl, parsePublicUrls } from '../domain/access/public-url.ts'
import { parseDatabaseUrl } from '../domain/database/database-url.ts'
import { completeDatabaseUrl } from '../domain/database/libpq-variables.ts'
import { parseSchedule } from '../domain/delivery/retry.ts'
import type { AddressRange } from '../domain/value/address.ts'
import { parseEgressProxy } from '../domain/webhook/egress-proxy.ts'
import { parseSealKey, type SealKey } from '../domain/webhook/seal.ts'
import { parseTargetList, type TargetList } from '../domain/webhook/target-list.ts'
import { mailVariables } from './mail-variables.ts'
import { signInVariables } from './sign-in-variables.ts'
import { tracingVariables } from './tracing-variables.ts'
import { type Env, type Given, optional, type Parsed, wholeNumber } from './variable.ts'

export type Role = 'capture' | 'delivery' | 'api'
const roles: readonly Role[] = ['capture', 'delivery', 'api']
const logLevels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']

/** The URL of a database, completed by the variables of libpq: a problem may be theirs. */
export function readDatabaseUrl(text: string, env: Env = process.env): Parsed<string> {
  const { url, from } = completeDatabaseUrl(text, env)
  const parsed = parseDatabaseUrl(url)
  if ('value' in parsed) return { value: url }
  const also = from.length > 0 ? ` (${from.join(', ')} of libpq included)` : ''
  return { wrong: parsed.wrong.map(problem => problem + also) }
}

const databaseUrl = (means: string, without: string) =>
  optional<string>({
    means,
    without,
    mend: 'write it as postgres://user:password@host:5432/database, with several hosts as postgres://user:password@a:5432,b:5432/database?target_session_attrs=read-write',
    parse: readDatabaseUrl,
  })

const sqlName = (means: string): Given<string> => ({
  means,
  default: 'walhook',
  mend: 'use lower-case letters, digits and _ only, at most 63 of them',
  parse: text => (/^[a-z_][a-z0-9_]{0,62}$/.test(text) ? { value: text } : { wrong: [JSON.stringify(text)] }),
})

const sealKey = (means: string, without: string, mend: string) =>
  optional<SealKey>({
    means,
    without,
    mend,
    parse(text) {
      const key = parseSealKey(text)
      return key ? { value: key } : { wrong: ['not 32 bytes in base64'] }
    },
  })

/** Clients differ in writing headers beyond ASCII: some would never be admitted. */
function parseToken(text: string): Parsed<string> {
  return /[^!-~]/.test(text) ? { wrong: ['contains white space or non-ASCII characters'] } : { value: text }
}

const targets = (means: string): Given<TargetList> => ({
  means,
  default: '',
  mend: 'write CIDRs, addresses and host names, separated by commas',
  parse(text) {
    const parsed = parseTargetList(text)
    return parsed.ok ? { value: parsed.list } : { wrong: parsed.problems }
  },
})

const days = (means: string) => ({
  ...wholeNumber(means, 1, 3650, 30),
  mend: 'use a number of days from 1 to 3650',
})

/** Every variable of walhook, in the order of its problems. */
export const variables = {
  DATABASE_URL: databaseUrl(
    'The source: the database whose changes walhook captures. With several hosts, walhook takes the primary: `postgres://user:password@a:5432,b:5432/database`, see [failover](../guide/operating.md#failover).',
    '`serve` refuses to start; `npm start` opens the playground',
  ),
  OUTBOX_DATABASE_URL: databaseUrl(
    "The database of walhook's own tables. Several hosts are possible here too.",
    'the value of `DATABASE_URL`',
  ),
  WALHOOK_SECRET_KEY: sealKey(
    '32 bytes in base64. Encrypts signing secrets and custom headers at rest.',
    '`serve` refuses to start',
    'create one with: openssl rand -base64 32',
  ),
  WALHOOK_SECRET_KEY_OLD: sealKey(
    'The previous key, needed until `walhook rekey` has re-encrypted everything.',
    'walhook decrypts with `WALHOOK_SECRET_KEY` only',
    'set the previous value of WALHOOK_SECRET_KEY, or remove it',
  ),
  WALHOOK_ADMIN_TOKEN: optional<string>({
    means: "An admin's API token that always works: at least 16 visible ASCII characters.",
    without: 'only tokens that an admin created work',
    mend: 'use at least 16 visible ASCII characters, for example from: openssl rand -hex 32',
    // Clients differ in writing headers beyond ASCII: some would never be admitted.
    parse: text => (text.length < 16 ? { wrong: [`only ${text.length} characters`] } : parseToken(text)),
  }),
  WALHOOK_TOKEN: optional<string>({
    means: 'The API token with which commands such as `walhook webhooks` call a running walhook.',
    without: '`WALHOOK_ADMIN_TOKEN`',
    mend: 'set a token as printed by: walhook token NAME --role operator',
    parse: parseToken,
  }),
  WALHOOK_ADMIN_USER: optional<string>({
    means: 'The id of the user account whose data is sent by tests of the holder of `WALHOOK_ADMIN_TOKEN`.',
    without: 'their tests must name an account',
    mend: 'write the id of a user account',
    parse: text => ({ value: text }),
  }),
  WALHOOK_ROLES: {
    means:
      'What this process does: any of `capture`, `delivery` and `api`, separated by commas. Without `api` it has no port, and so no probes and no metrics.',
    default: roles.join(','),
    mend: `use any of ${roles.join(', ')}, separated by commas`,
    parse(text) {
      const wanted = text.split(',').map(role => role.trim())
      const wrong = wanted.filter(role => !roles.includes(role as Role)).map(role => JSON.stringify(role))
      return wrong.length > 0 ? { wrong } : { value: new Set(wanted as Role[]) }
    },
  } satisfies Given<ReadonlySet<Role>>,
  WALHOOK_CELLS: {
    means:
      'Where walhook places the schemas of [cells](../guide/operating.md#cells): `plain`, on the server of their URL; `citus`, on a node that Citus chooses.',
    default: 'plain',
    mend: 'use plain or citus',
    parse: text =>
      text === 'plain' || text === 'citus' ? { value: text } : { wrong: [JSON.stringify(text)] },
  } satisfies Given<'plain' | 'citus'>,
  WALHOOK_ALLOW_TARGETS: targets(
    'Private CIDRs, addresses and host names that webhooks may reach, also over http; separated by commas. An address or a name may have a port: `10.0.0.5:8443`, `[fd00::1]:8443`.',
  ),
  WALHOOK_DENY_TARGETS: targets(
    'CIDRs, addresses and host names that webhooks never reach. Takes precedence over `WALHOOK_ALLOW_TARGETS`.',
  ),
  WALHOOK_PROXY: optional({
    means: 'The egress proxy for all requests to receivers: `http://user:password@host:port`.',
    without: 'walhook connects directly',
    mend: 'write it as http://host:port, or http://user:password@host:port',
    parse(text) {
      const parsed = parseEgressProxy(text)
      return 'problem' in parsed ? { wrong: [parsed.problem] } : { value: parsed.proxy }
    },
  }),
  WALHOOK_URL: {
    means:
      'The public URL of walhook: `https://walhook.example.com`, several separated by commas. walhook refuses requests with another `Host`. Commands such as `walhook webhooks` call the first.',
    default: '',
    mend: 'write the public URL of walhook: https://walhook.example.com',
    parse(text) {
      const parsed = parsePublicUrls(text)
      return parsed.ok ? { value: parsed.urls } : { wrong: parsed.problems }
    },
  } satisfies Given<readonly PublicUrl[]>,
  WALHOOK_FRAME_ANCESTORS: {
    means:
      'The origins that may embed walhook’s pages in a frame, separated by commas: `https://app.example.com`, or `https://*.example.com`. The pages open there through links of `POST /api/sessions` only: see [tenants](../guide/tenants.md).',
    default: '',
    mend: 'write origins, as in https://app.example.com: https, without a path',
    parse(text) {
      const parsed = parseFrameAncestors(text)
      return parsed.ok ? { value: parsed.origins } : { wrong: parsed.problems }
    },
  } satisfies Given<readonly string[]>,
  WALHOOK_TRUSTED_PROXIES: {
    means:
      'Addresses and CIDRs of reverse proxies whose `X-Forwarded-For` and `X-Forwarded-Proto` walhook trusts: see [behind a reverse proxy](../guide/reverse-proxy.md).',
    default: '',
    mend: 'write addresses and CIDRs, separated by commas',
    parse(text) {
      const parsed = parseTrustedProxies(text)
      return parsed.ok ? { value: parsed.ranges } : { wrong: parsed.problems }
    },
  } satisfies Given<readonly AddressRange[]>,
  ...signInVariables,
  WALHOOK_RETRY_SCHEDULE: {
    means:
      'The waits after the first, second, … failed attempt: 1 to 50 of them, from `1s` to `7d`. Each varies by 10 %.',
    default: '5s,5m,30m,2h,5h,10h,14h,20h,24h',
    mend: 'write 1 to 50 waits of 1s to 7d, separated by commas: 5s, 5m, 2h, 1d',
    parse(text) {
      const waits = parseSchedule(text)
      return waits ? { value: waits } : { wrong: [JSON.stringify(text)] }
    },
  } satisfies Given<readonly number[]>,
  WALHOOK_MAX_IN_FLIGHT: wholeNumber(
    'The maximum number of concurrent requests per webhook. For all webhooks together it is five times as high.',
    1,
    1_000,
    100,
  ),
  ...mailVariables,
  WALHOOK_PROBE_INTERVAL: optional<number>({
    means:
      'The interval at which walhook measures capture latency, also while nothing changes: `30s`, `5m`. Each probe writes a little WAL.',
    without: 'every 10 s, only while other WAL is written',
    mend: 'write one duration from 1s to 7d: 30s, 5m',
    parse(text) {
      const [value, ...more] = parseSchedule(text) ?? []
      return value === undefined || more.length > 0 ? { wrong: [JSON.stringify(text)] } : { value }
    },
  }),
  PORT: {
    ...wholeNumber('The port of the API and the pages. 0: any free one.', 0, 65_535, 8080),
    mend: 'use a port number from 0 (any free one) to 65535',
  },
  HOST: {
    means: 'The address on which the API and the pages listen.',
    default: '127.0.0.1',
    mend: 'write an address of this machine',
    parse: text => ({ value: text }),
  } satisfies Given<string>,
  WALHOOK_KEEP_LOG_DAYS: days(
    'How many days walhook keeps requests in the log. The last 10 of each webhook always stay, without bodies.',
  ),
  WALHOOK_KEEP_EVENTS_DAYS: days(
    'How many days walhook keeps events that are neither pending nor in the log.',
  ),
  WALHOOK_KEEP_AUDIT_DAYS: {
    ...optional(days('How many days walhook keeps the audit.')),
    without: 'for ever',
  },
  WALHOOK_LOG_ENTITY_IDS: {
    means: '`false` keeps the ids of entities out of the log of the process.',
    default: 'true',
    mend: 'write true or false',
    parse: text =>
      text === 'true' || text === 'false' ? { value: text === 'true' } : { wrong: [JSON.stringify(text)] },
  } satisfies Given<boolean>,
  LOG_LEVEL: {
    means: `The level of the process's log: ${logLevels.map(level => `\`${level}\``).join(', ')}.`,
    default: 'info',
    mend: `use one of ${logLevels.join(', ')}`,
    parse: text => (logLevels.includes(text) ? { value: text } : { wrong: [JSON.stringify(text)] }),
  } satisfies Given<string>,
  ...tracingVariables,
  WALHOOK_SLOT: sqlName('The name of the replication slot in the source.'),
  WALHOOK_PUBLICATION: sqlName('The name of the publication in the source.'),
  WALHOOK_CONFIG: optional<string>({
    means: 'The [mapping file](../guide/mapping.md).',
    without: '`walhook.yaml` in the working directory, if it exists',
    mend: 'name an existing mapping file',
    parse: text => ({ value: text }),
  }),
}

export type VariableName = keyof typeof variables
export type Values = {
  readonly [Name in VariableName]: (typeof variables)[Name] extends {
    parse(text: string, env: Env): Parsed<infer T>
    default: infer Default
  }
    ? Default extends string
      ? T
      : T | null
    : never
}
