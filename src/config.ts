import { existsSync, readFileSync } from 'node:fs'
import { parse as parseYaml } from 'yaml'
import type { AddressRange } from './domain/address.ts'
import { parseTrustedProxies } from './domain/client-address.ts'
import { type EgressProxy, parseEgressProxy } from './domain/egress-proxy.ts'
import { defaultMapping, type EntityMapping } from './domain/mapping.ts'
import { readMappingFile } from './domain/mapping-file.ts'
import { nearest } from './domain/nearest.ts'
import type { Problem } from './domain/problem.ts'
import { type PublicUrl, parsePublicUrls } from './domain/public-url.ts'
import { defaultScheduleMs, parseSchedule } from './domain/retry.ts'
import { parseSealKey, type SealKey } from './domain/seal.ts'
import { emptyList, parseTargetList, type TargetList } from './domain/target-list.ts'

export type Role = 'capture' | 'delivery' | 'api'
const roles: readonly Role[] = ['capture', 'delivery', 'api']
const logLevels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']

/** What the environment and the mapping file say, checked. */
export type Config = {
  /** Null: no source is given. */
  readonly databaseUrl: string | null
  readonly outboxUrl: string | null
  readonly mapping: readonly EntityMapping[]
  readonly slotName: string
  readonly publicationName: string
  readonly roles: ReadonlySet<Role>
  readonly adminToken: string | null
  readonly adminUserId: string | null
  /** Null: none is given. */
  readonly sealKey: SealKey | null
  readonly allow: TargetList
  /** Goes before `allow`. */
  readonly deny: TargetList
  /** Null: connections to receivers are made directly. */
  readonly proxy: EgressProxy | null
  /** Waits after the first, second, … failed attempt, in ms; at least one. */
  readonly scheduleMs: readonly number[]
  /** The most requests of one webhook in flight at once, from 1. */
  readonly maxInFlightPerWebhook: number
  /** How often capture sends a probe, also while the source is idle; null: only where other WAL was written. */
  readonly probeIntervalMs: number | null
  readonly host: string
  /** Under which people and programs reach it; empty: under any host. */
  readonly publicUrls: readonly PublicUrl[]
  /** Reverse proxies that are believed about who sent a request. */
  readonly trustedProxies: readonly AddressRange[]
  /** How long what is finished is kept, in days. */
  readonly keep: {
    readonly logDays: number
    readonly eventsDays: number
    /** Null: for ever. */
    readonly auditDays: number | null
  }
  /** Whether lines of the process's log name entities. */
  readonly logsEntityIds: boolean
  readonly port: number
  readonly logLevel: string
}

/** `warnings` are of what is there and has no effect. */
export type ConfigResult = { readonly warnings: readonly Problem[] } & (
  | { readonly ok: true; readonly config: Config }
  | { readonly ok: false; readonly problems: readonly Problem[] }
)

/** Every variable that walhook reads. */
const variables = [
  'DATABASE_URL',
  'OUTBOX_DATABASE_URL',
  'WALHOOK_CONFIG',
  'WALHOOK_SLOT',
  'WALHOOK_PUBLICATION',
  'WALHOOK_ROLES',
  'WALHOOK_ADMIN_TOKEN',
  'WALHOOK_ADMIN_USER',
  'WALHOOK_SECRET_KEY',
  'WALHOOK_SECRET_KEY_OLD',
  'WALHOOK_ALLOW_TARGETS',
  'WALHOOK_DENY_TARGETS',
  'WALHOOK_PROXY',
  'WALHOOK_URL',
  'WALHOOK_TRUSTED_PROXIES',
  'WALHOOK_RETRY_SCHEDULE',
  'WALHOOK_MAX_IN_FLIGHT',
  'WALHOOK_PROBE_INTERVAL',
  'WALHOOK_KEEP_LOG_DAYS',
  'WALHOOK_KEEP_EVENTS_DAYS',
  'WALHOOK_KEEP_AUDIT_DAYS',
  'WALHOOK_LOG_ENTITY_IDS',
  'HOST',
  'PORT',
  'LOG_LEVEL',
] as const
type Variable = (typeof variables)[number]

/**
 * Reads the configuration from environment variables, and from the mapping file that they name or that is in
 * the working directory. An empty variable counts as not set. `required` are variables that the command can't
 * do without. Returns every problem at once; secrets are never repeated in one.
 */
export function readConfig(
  required: readonly ('DATABASE_URL' | 'OUTBOX_DATABASE_URL' | 'WALHOOK_SECRET_KEY')[],
  env: Readonly<Record<string, string | undefined>> = process.env,
): ConfigResult {
  const problems: Problem[] = []
  const add = (what: string, found: string, mend: string) =>
    problems.push({ code: what.startsWith('mapping file ') ? 'mapping_file' : 'variable', what, found, mend })
  const get = (name: Variable) => env[name]?.trim() || null

  function databaseUrl(name: Variable): string | null {
    const text = get(name)
    if (text !== null && !isPostgresUrl(text))
      add(name, 'not a Postgres URL', 'write it as postgres://user:password@host:5432/database')
    return text
  }

  function sqlName(name: Variable): string {
    const text = get(name) ?? 'walhook'
    if (!/^[a-z_][a-z0-9_]{0,62}$/.test(text))
      add(name, JSON.stringify(text), 'use lower-case letters, digits and _ only, at most 63 of them')
    return text
  }

  const source = databaseUrl('DATABASE_URL')
  const outbox = databaseUrl('OUTBOX_DATABASE_URL') ?? source
  for (const name of required) {
    if (name === 'DATABASE_URL' && source === null)
      add(name, 'not set', 'set it to the database to capture: postgres://user:password@host:5432/database')
    if (name === 'OUTBOX_DATABASE_URL' && outbox === null)
      add(
        'DATABASE_URL',
        'not set, nor is OUTBOX_DATABASE_URL',
        "set it to the database of walhook's own tables",
      )
    if (name === 'WALHOOK_SECRET_KEY' && get(name) === null)
      add(name, 'not set', 'make one with "openssl rand -base64 32", keep it, and set it at every start')
  }

  const secretKey = get('WALHOOK_SECRET_KEY')
  const sealKey = secretKey === null ? null : parseSealKey(secretKey)
  if (secretKey !== null && sealKey === null)
    add('WALHOOK_SECRET_KEY', 'not 32 bytes in base64', 'make one with: openssl rand -base64 32')
  const oldSecretKey = get('WALHOOK_SECRET_KEY_OLD')
  const oldSealKey = oldSecretKey === null ? null : parseSealKey(oldSecretKey)
  if (oldSecretKey !== null && oldSealKey === null)
    add(
      'WALHOOK_SECRET_KEY_OLD',
      'not 32 bytes in base64',
      'give the value that WALHOOK_SECRET_KEY had before, or remove it',
    )

  const adminToken = get('WALHOOK_ADMIN_TOKEN')
  // Beyond ASCII, clients differ in how they write a header: some would never be let in.
  if (adminToken !== null && (adminToken.length < 16 || /[^!-~]/.test(adminToken)))
    add(
      'WALHOOK_ADMIN_TOKEN',
      adminToken.length < 16
        ? `only ${adminToken.length} characters`
        : 'with white space or characters beyond ASCII in it',
      'use at least 16 visible ASCII characters, for example from: openssl rand -hex 32',
    )

  const wantedRoles = (get('WALHOOK_ROLES') ?? roles.join(',')).split(',').map(role => role.trim())
  for (const role of wantedRoles.filter(role => !roles.includes(role as Role)))
    add('WALHOOK_ROLES', JSON.stringify(role), `use any of ${roles.join(', ')}, separated by commas`)

  function targets(name: 'WALHOOK_ALLOW_TARGETS' | 'WALHOOK_DENY_TARGETS'): TargetList {
    const parsed = parseTargetList(get(name) ?? '')
    if (parsed.ok) return parsed.list
    for (const problem of parsed.problems)
      add(name, problem, 'write CIDRs, addresses and host names, separated by commas')
    return emptyList
  }
  const [allow, deny] = [targets('WALHOOK_ALLOW_TARGETS'), targets('WALHOOK_DENY_TARGETS')]
  const proxyUrl = get('WALHOOK_PROXY')
  const proxy = proxyUrl === null ? { proxy: null } : parseEgressProxy(proxyUrl)
  if ('problem' in proxy)
    add('WALHOOK_PROXY', proxy.problem, 'write it as http://host:port, or http://user:password@host:port')

  const publicUrls = parsePublicUrls(get('WALHOOK_URL') ?? '')
  if (!publicUrls.ok)
    for (const problem of publicUrls.problems)
      add('WALHOOK_URL', problem, 'write where walhook is reached from outside: https://walhook.example.com')
  const proxies = parseTrustedProxies(get('WALHOOK_TRUSTED_PROXIES') ?? '')
  if (!proxies.ok)
    for (const problem of proxies.problems)
      add('WALHOOK_TRUSTED_PROXIES', problem, 'write addresses and CIDRs, separated by commas')

  const schedule = get('WALHOOK_RETRY_SCHEDULE')
  const scheduleMs = schedule === null ? defaultScheduleMs : parseSchedule(schedule)
  if (scheduleMs === null)
    add(
      'WALHOOK_RETRY_SCHEDULE',
      JSON.stringify(schedule),
      'write 1 to 50 waits of 1s to 7d, separated by commas: 5s, 5m, 2h, 1d',
    )

  const inFlightText = get('WALHOOK_MAX_IN_FLIGHT') ?? '100'
  const maxInFlightPerWebhook = /^\d{1,4}$/.test(inFlightText) ? Number(inFlightText) : 0
  if (maxInFlightPerWebhook < 1 || maxInFlightPerWebhook > 1_000)
    add('WALHOOK_MAX_IN_FLIGHT', JSON.stringify(inFlightText), 'use a number from 1 to 1000')

  const probe = get('WALHOOK_PROBE_INTERVAL')
  const [probeIntervalMs = null, ...moreProbes] = (probe !== null && parseSchedule(probe)) || []
  if (probe !== null && (probeIntervalMs === null || moreProbes.length > 0))
    add('WALHOOK_PROBE_INTERVAL', JSON.stringify(probe), 'write one time from 1s to 7d, as 30s or 5m')

  const portText = get('PORT') ?? '8080'
  const port = /^\d{1,5}$/.test(portText) ? Number(portText) : Number.NaN
  if (!(port <= 65535))
    add('PORT', JSON.stringify(portText), 'use a port number from 0 (any free one) to 65535')

  function days(name: Variable): number {
    const text = get(name) ?? '30'
    const value = /^\d{1,4}$/.test(text) ? Number(text) : 0
    if (value < 1 || value > 3650) add(name, JSON.stringify(text), 'use a number of days from 1 to 3650')
    return value
  }
  const keep = {
    logDays: days('WALHOOK_KEEP_LOG_DAYS'),
    eventsDays: days('WALHOOK_KEEP_EVENTS_DAYS'),
    auditDays: get('WALHOOK_KEEP_AUDIT_DAYS') === null ? null : days('WALHOOK_KEEP_AUDIT_DAYS'),
  }

  const entityIds = get('WALHOOK_LOG_ENTITY_IDS') ?? 'true'
  if (entityIds !== 'true' && entityIds !== 'false')
    add('WALHOOK_LOG_ENTITY_IDS', JSON.stringify(entityIds), 'write true or false')

  const logLevel = get('LOG_LEVEL') ?? 'info'
  if (!logLevels.includes(logLevel))
    add('LOG_LEVEL', JSON.stringify(logLevel), `use one of ${logLevels.join(', ')}`)

  const slotName = sqlName('WALHOOK_SLOT')
  const publicationName = sqlName('WALHOOK_PUBLICATION')
  const mapping = readMapping(get('WALHOOK_CONFIG'), add)

  const warnings = unknownVariables(env)
  if (problems.length > 0 || 'problem' in proxy || !scheduleMs) return { ok: false, problems, warnings }
  return {
    ok: true,
    warnings,
    config: {
      databaseUrl: source,
      outboxUrl: outbox,
      mapping,
      slotName,
      publicationName,
      roles: new Set(wantedRoles as Role[]),
      adminToken,
      adminUserId: get('WALHOOK_ADMIN_USER'),
      sealKey: sealKey && oldSealKey ? { ...sealKey, older: oldSealKey } : sealKey,
      allow,
      deny,
      proxy: proxy.proxy,
      scheduleMs,
      maxInFlightPerWebhook,
      probeIntervalMs,
      host: get('HOST') ?? '127.0.0.1',
      publicUrls: publicUrls.ok ? publicUrls.urls : [],
      trustedProxies: proxies.ok ? proxies.ranges : [],
      keep,
      logsEntityIds: entityIds === 'true',
      port,
      logLevel,
    },
  }
}

/** Whether npm or npx has started this process. https://docs.npmjs.com/cli/using-npm/scripts#environment */
export function isRunByNpm(env: Readonly<Record<string, string | undefined>> = process.env): boolean {
  return env.npm_command !== undefined
}

/** What Kubernetes gives every pod beside a service named walhook. https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables */
const ofKubernetes = /^WALHOOK_(SERVICE_|PORT($|_\d))/

/**
 * Variables that look like walhook's and are none. They are not refused: an environment is shared, and a variable may be
 * meant for another version.
 */
function unknownVariables(env: Readonly<Record<string, string | undefined>>): Problem[] {
  const names = Object.keys(env).filter(
    name =>
      name.startsWith('WALHOOK_') && !variables.some(known => known === name) && !ofKubernetes.test(name),
  )
  return names.map(name => {
    const meant = nearest(name, variables)
    return {
      code: 'variable_unknown',
      what: name,
      found: 'walhook has no such variable: it has no effect',
      mend: meant === null ? 'remove it' : `write ${meant}, or remove it`,
    }
  })
}

const usualFile = 'walhook.yaml'

function readMapping(
  wantedFile: string | null,
  add: (what: string, found: string, mend: string) => void,
): readonly EntityMapping[] {
  if (wantedFile === null && !existsSync(usualFile)) return defaultMapping
  const file = wantedFile ?? usualFile
  let content: unknown
  try {
    content = parseYaml(readFileSync(file, 'utf8'))
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    if (code === 'ENOENT')
      add('WALHOOK_CONFIG', `${file} does not exist`, 'name a mapping file that is there')
    else add(`mapping file ${file}`, message.split('\n')[0]!, 'mend the file')
    return []
  }
  const result = readMappingFile(content)
  if (result.ok) return result.mapping
  for (const { at, message } of result.problems)
    add(`mapping file ${file}`, `${at}: ${message}`, 'mend the file')
  return []
}

function isPostgresUrl(text: string): boolean {
  return /^postgres(ql)?:\/\//i.test(text) && URL.canParse(text)
}
