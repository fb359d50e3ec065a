import { existsSync, readFileSync } from 'node:fs'
import type { PublicUrl } from './domain/access/public-url.ts'
import type { SignInConfig } from './domain/access/sign-in.ts'
import { readYaml } from './domain/input/yaml.ts'
import { defaultMapping, type EntityMapping } from './domain/mapping/mapping.ts'
import { readMappingFile } from './domain/mapping/mapping-file.ts'
import { ratioOf, samplers, tracesUrl } from './domain/shown/trace.ts'
import type { AddressRange } from './domain/value/address.ts'
import { nearest } from './domain/value/nearest.ts'
import type { Problem } from './domain/value/problem.ts'
import type { EgressProxy } from './domain/webhook/egress-proxy.ts'
import type { SealKey } from './domain/webhook/seal.ts'
import type { TargetList } from './domain/webhook/target-list.ts'
import { readSignIn } from './sign-in-config.ts'
import type { Variable } from './variable.ts'
import { type Role, type Values, type VariableName, variables } from './variables.ts'

/** The checked environment and mapping file. */
export type Config = {
  /** Null: no source. */
  readonly databaseUrl: string | null
  readonly outboxUrl: string | null
  readonly mapping: readonly EntityMapping[]
  /** The mapping's file; absent: none was named or found. */
  readonly mappingFile?: string
  readonly slotName: string
  readonly publicationName: string
  readonly roles: ReadonlySet<Role>
  /** How the schemas of cells are placed. */
  readonly placing: 'plain' | 'citus'
  readonly adminToken: string | null
  readonly adminUserId: string | null
  /** Null: not set. */
  readonly sealKey: SealKey | null
  readonly allow: TargetList
  /** Takes precedence over `allow`. */
  readonly deny: TargetList
  /** Null: direct connections to receivers. */
  readonly proxy: EgressProxy | null
  /** Waits after the first, second, … failed attempt, in ms; at least one. */
  readonly scheduleMs: readonly number[]
  /** The maximum requests in flight of one webhook, from 1. */
  readonly maxInFlightPerWebhook: number
  /** The interval of probes, also while the source is idle; null: only if other WAL was written. */
  readonly probeIntervalMs: number | null
  /** The mail server; absent: no mails. */
  readonly mail?: { readonly smtpUrl: string; readonly from: string }
  /** The recipients of mails about capture; absent: none. */
  readonly alertTo?: readonly string[]
  readonly mailDomains: readonly string[] // whose addresses need no confirmation
  readonly host: string
  /** walhook's public URLs; empty: any host is accepted. */
  readonly publicUrls: readonly PublicUrl[]
  /** The origins that may embed the pages in a frame. */
  readonly frameAncestors: readonly string[]
  /** Reverse proxies whose `X-Forwarded-For` is trusted. */
  readonly trustedProxies: readonly AddressRange[]
  /** The OpenID provider; absent: tokens only. */
  readonly signIn?: SignInConfig
  /** The retention of finished work, in days. */
  readonly keep: {
    readonly logDays: number
    readonly eventsDays: number
    /** Null: for ever. */
    readonly auditDays: number | null
  }
  /** The trace collector and the sampling ratio; absent: no tracing. */
  readonly tracing?: TracingConfig
  /** Whether log lines and spans contain entities. */
  readonly logsEntityIds: boolean
  readonly port: number
  readonly logLevel: string
}

/** `ratio`: the share of sampled traces, 0 to 1. */
export type TracingConfig = { readonly url: string; readonly ratio: number }

/** `warnings`: variables without effect. */
export type ConfigResult = { readonly warnings: readonly Problem[] } & (
  | { readonly ok: true; readonly config: Config }
  | { readonly ok: false; readonly problems: readonly Problem[] }
)

/** The problem of a missing variable that the command needs. */
const missing = {
  DATABASE_URL: 'set it to the database to capture: postgres://user:password@host:5432/database',
  OUTBOX_DATABASE_URL: "set it to the database of walhook's own tables",
  WALHOOK_TOKEN: 'create one with: walhook token NAME --role operator',
  WALHOOK_SECRET_KEY: 'create one with "openssl rand -base64 32", keep it, and set it at every start',
}

/**
 * Reads the configuration from environment variables, and from the mapping file that they name or that is in the working
 * directory. An empty variable is not set. Returns every problem at once, without secrets.
 *
 * - `required`: variables that the command needs
 * - `without: 'mapping'`: for commands that need none
 */
export function readConfig(
  required: readonly Exclude<keyof typeof missing, 'WALHOOK_TOKEN'>[],
  env: Readonly<Record<string, string | undefined>> = process.env,
  { without }: { without?: 'mapping' } = {},
): ConfigResult {
  const problems: Problem[] = []
  const add = (what: string, found: string, mend: string) =>
    problems.push({ code: 'variable', what, found, mend })
  const isSet = (name: VariableName) => Boolean(env[name]?.trim())

  if (required.includes('DATABASE_URL') && !isSet('DATABASE_URL'))
    add('DATABASE_URL', 'not set', missing.DATABASE_URL)
  if (required.includes('OUTBOX_DATABASE_URL') && !isSet('OUTBOX_DATABASE_URL') && !isSet('DATABASE_URL'))
    add('DATABASE_URL', 'not set, nor is OUTBOX_DATABASE_URL', missing.OUTBOX_DATABASE_URL)
  if (required.includes('WALHOOK_SECRET_KEY') && !isSet('WALHOOK_SECRET_KEY'))
    add('WALHOOK_SECRET_KEY', 'not set', missing.WALHOOK_SECRET_KEY)
  const values = readVariables(env, add)
  const wantedFile = values?.WALHOOK_CONFIG ?? (env.WALHOOK_CONFIG?.trim() || null)
  const mappingFile = wantedFile ?? (existsSync(usualFile) ? usualFile : null)
  const mapping =
    without === 'mapping' || mappingFile === null ? defaultMapping : readMapping(mappingFile, problems)

  if (values) problemsOfMail(values, add)
  const signIn = values && readSignIn(values, isSet, add)
  const tracing = readTracing(env, add)
  const warnings = unknownVariables(env)
  if (problems.length > 0 || values === null) return { ok: false, problems, warnings }
  const { WALHOOK_SECRET_KEY: sealKey, WALHOOK_SECRET_KEY_OLD: older } = values
  return {
    ok: true,
    warnings,
    config: {
      databaseUrl: values.DATABASE_URL,
      outboxUrl: values.OUTBOX_DATABASE_URL ?? values.DATABASE_URL,
      mapping,
      ...(mappingFile !== null && { mappingFile }),
      slotName: values.WALHOOK_SLOT,
      publicationName: values.WALHOOK_PUBLICATION,
      roles: values.WALHOOK_ROLES,
      placing: values.WALHOOK_CELLS,
      adminToken: values.WALHOOK_ADMIN_TOKEN,
      adminUserId: values.WALHOOK_ADMIN_USER,
      sealKey: sealKey && older ? { ...sealKey, older } : sealKey,
      allow: values.WALHOOK_ALLOW_TARGETS,
      deny: values.WALHOOK_DENY_TARGETS,
      proxy: values.WALHOOK_PROXY,
      scheduleMs: values.WALHOOK_RETRY_SCHEDULE,
      maxInFlightPerWebhook: values.WALHOOK_MAX_IN_FLIGHT,
      probeIntervalMs: values.WALHOOK_PROBE_INTERVAL,
      ...(values.WALHOOK_SMTP_URL &&
        values.WALHOOK_MAIL_FROM && {
          mail: { smtpUrl: values.WALHOOK_SMTP_URL, from: values.WALHOOK_MAIL_FROM },
        }),
      ...(values.WALHOOK_ALERT_TO.length > 0 && { alertTo: values.WALHOOK_ALERT_TO }),
      mailDomains: values.WALHOOK_MAIL_DOMAINS,
      host: values.HOST,
      publicUrls: values.WALHOOK_URL,
      frameAncestors: values.WALHOOK_FRAME_ANCESTORS,
      trustedProxies: values.WALHOOK_TRUSTED_PROXIES,
      keep: {
        logDays: values.WALHOOK_KEEP_LOG_DAYS,
        eventsDays: values.WALHOOK_KEEP_EVENTS_DAYS,
        auditDays: values.WALHOOK_KEEP_AUDIT_DAYS,
      },
      ...(signIn && { signIn }),
      ...(tracing && { tracing }),
      logsEntityIds: values.WALHOOK_LOG_ENTITY_IDS,
      port: values.PORT,
      logLevel: values.LOG_LEVEL,
    },
  }
}

/** A mail needs a server and a sender; recipients alone would wait for ever. */
function problemsOfMail(
  { WALHOOK_SMTP_URL: server, WALHOOK_MAIL_FROM: from, WALHOOK_ALERT_TO: to }: Values,
  add: (what: string, found: string, mend: string) => void,
): void {
  if (server && !from)
    add('WALHOOK_MAIL_FROM', 'not set, but WALHOOK_SMTP_URL is', variables.WALHOOK_MAIL_FROM.mend)
  if (to.length > 0 && !server)
    add('WALHOOK_SMTP_URL', 'not set, but WALHOOK_ALERT_TO is', variables.WALHOOK_SMTP_URL.mend)
}

/**
 * The standard variables of tracing, judged only if they turn it on: other programs use them too. The library reads the rest.
 * https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
 */
function readTracing(
  env: Readonly<Record<string, string | undefined>>,
  add: (what: string, found: string, mend: string) => void,
): TracingConfig | null {
  const read = (name: string) => env[name]?.trim() || null
  const own = read('OTEL_EXPORTER_OTLP_TRACES_ENDPOINT')
  const endpoint = own ?? read('OTEL_EXPORTER_OTLP_ENDPOINT')
  if (endpoint === null || read('OTEL_SDK_DISABLED')?.toLowerCase() === 'true') return null
  if ((read('OTEL_TRACES_EXPORTER') ?? 'otlp') === 'none') return null

  const endpointName = own ? 'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT' : 'OTEL_EXPORTER_OTLP_ENDPOINT'
  const url = tracesUrl(endpoint, own !== null)
  if (url === null)
    add(endpointName, 'not an http or https URL', 'write where the collector listens: http://localhost:4318')
  const protocolName = ['OTEL_EXPORTER_OTLP_TRACES_PROTOCOL', 'OTEL_EXPORTER_OTLP_PROTOCOL'].find(read)
  if (protocolName && read(protocolName) === 'grpc')
    add(
      protocolName,
      '"grpc", but walhook sends over HTTP',
      `write http/json, and the port for HTTP (usually 4318) into ${endpointName}`,
    )
  const sampler = read('OTEL_TRACES_SAMPLER') ?? 'parentbased_always_on'
  if (!samplers.includes(sampler)) {
    add('OTEL_TRACES_SAMPLER', JSON.stringify(sampler), `use one of ${samplers.join(', ')}`)
    return null
  }
  const argument = read('OTEL_TRACES_SAMPLER_ARG') ?? '1'
  const ratio = ratioOf(sampler, argument)
  if (ratio === null)
    add('OTEL_TRACES_SAMPLER_ARG', JSON.stringify(argument), 'write the share of traces, from 0 to 1: 0.1')
  return url === null || ratio === null ? null : { url, ratio }
}

/** The value of every variable; null: one is wrong, and `add` gets each problem. */
function readVariables(
  env: Readonly<Record<string, string | undefined>>,
  add: (what: string, found: string, mend: string) => void,
): Values | null {
  let isRight = true
  const values = Object.entries<Variable<unknown>>(variables).map(([name, variable]) => {
    const text = env[name]?.trim() || variable.default
    const parsed = text === null ? { value: null } : variable.parse(text)
    if ('value' in parsed) return [name, parsed.value]
    isRight = false
    for (const found of parsed.wrong) add(name, found, variable.mend)
    return [name, null]
  })
  return isRight ? (Object.fromEntries(values) as Values) : null
}

/** A variable that a file refers to; undefined: not set. */
export function readReference(
  name: string,
  env: Readonly<Record<string, string | undefined>> = process.env,
): string | undefined {
  return env[name]
}

/** The URL of a running walhook, and the token to call it. */
export type ClientConfig = { readonly url: string; readonly token: string }

/**
 * The configuration of commands that call a running walhook. The default URL is the address of `serve` with the same
 * variables.
 */
export function readClientConfig(
  env: Readonly<Record<string, string | undefined>> = process.env,
): { readonly warnings: readonly Problem[] } & (
  | { readonly ok: true; readonly config: ClientConfig }
  | { readonly ok: false; readonly problems: readonly Problem[] }
) {
  const problems: Problem[] = []
  const read = <T>(name: VariableName, { default: usual, mend, parse }: Variable<T>): T | null => {
    const text = env[name]?.trim() || usual
    if (text === null) return null
    const parsed = parse(text)
    if ('value' in parsed) return parsed.value
    for (const found of parsed.wrong) problems.push({ code: 'variable', what: name, found, mend })
    return null
  }
  const [first] = read('WALHOOK_URL', variables.WALHOOK_URL) ?? []
  const host = read('HOST', variables.HOST)!
  const port = read('PORT', variables.PORT)
  const token =
    read('WALHOOK_TOKEN', variables.WALHOOK_TOKEN) ??
    read('WALHOOK_ADMIN_TOKEN', variables.WALHOOK_ADMIN_TOKEN)
  if (token === null && problems.length === 0)
    problems.push({ code: 'variable', what: 'WALHOOK_TOKEN', found: 'not set', mend: missing.WALHOOK_TOKEN })
  const warnings = unknownVariables(env)
  if (token === null || problems.length > 0) return { ok: false, problems, warnings }
  const local =
    host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '[::1]' : host.includes(':') ? `[${host}]` : host
  const url = first ? `${first.protocol}://${first.host}` : `http://${local}:${port}`
  return { ok: true, warnings, config: { url, token } }
}

/** The abilities of an output stream. https://no-color.org */
export function readTerminal(
  stream: { readonly isTTY?: boolean; readonly columns?: number },
  env: Readonly<Record<string, string | undefined>> = process.env,
): { readonly columns: number | null; readonly hasColours: boolean } {
  if (!stream.isTTY) return { columns: null, hasColours: false }
  return { columns: stream.columns || 80, hasColours: !env.NO_COLOR && env.TERM !== 'dumb' }
}

/** Whether npm or npx started this process. https://docs.npmjs.com/cli/using-npm/scripts#environment */
export function isRunByNpm(env: Readonly<Record<string, string | undefined>> = process.env): boolean {
  return env.npm_command !== undefined
}

/**
 * Kubernetes sets these in every pod for a service whose name begins with walhook.
 * https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables
 */
const ofKubernetes = /_SERVICE_(HOST|PORT)(_|$)|_PORT($|_\d)/

/** Unknown variables that look like walhook's: a warning, because another version may know them. */
function unknownVariables(env: Readonly<Record<string, string | undefined>>): Problem[] {
  const names = Object.keys(env).filter(
    name => name.startsWith('WALHOOK_') && !Object.hasOwn(variables, name) && !ofKubernetes.test(name),
  )
  return names.map(name => {
    const meant = nearest(name, Object.keys(variables))
    return {
      code: 'variable_unknown',
      what: name,
      found: 'unknown variable, without effect',
      mend: meant === null ? 'remove it' : `write ${meant}, or remove it`,
    }
  })
}

/** The default mapping file. */
export const usualFile = 'walhook.yaml'

/** Reads a mapping file; adds its errors to `problems`. */
export function readMapping(file: string, problems: Problem[]): readonly EntityMapping[] {
  const wrong = (found: string) =>
    problems.push({ code: 'mapping_file', what: `mapping file ${file}`, found, mend: 'correct the file' })
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    if (code !== 'ENOENT') wrong(message)
    else
      problems.push({
        code: 'variable',
        what: 'WALHOOK_CONFIG',
        found: `${file} does not exist`,
        mend: 'name an existing mapping file',
      })
    return []
  }
  const yaml = readYaml(text)
  if (!yaml.ok) {
    for (const found of yaml.problems) wrong(found)
    return []
  }
  const result = readMappingFile(yaml.content)
  if (result.ok) return result.mapping
  for (const { at, message } of result.problems) wrong(`${at}: ${message}`)
  return []
}
