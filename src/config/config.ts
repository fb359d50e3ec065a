import { existsSync } from 'node:fs'
import type { SignInConfig } from '../domain/access/sign-in.ts'
import { defaultMapping, type EntityMapping } from '../domain/mapping/mapping.ts'
import type { Problem } from '../domain/value/problem.ts'
import { defaultFile, readMapping } from './read-mapping.ts'
import { readSignIn } from './sign-in-config.ts'
import { readTracing, type TracingConfig } from './tracing-config.ts'
import type { Variable } from './variable.ts'
import { idleVariables, unknownVariables } from './variable-warnings.ts'
import { type Values, type VariableName, variables } from './variables.ts'

/** The checked environment and mapping file; `variables` says what each value means. */
export type Config = Readonly<ReturnType<typeof configOf>>

/** `warnings`: variables without effect. */
export type ConfigResult = { readonly warnings: readonly Problem[] } & (
  | { readonly ok: true; readonly config: Config }
  | { readonly ok: false; readonly problems: readonly Problem[] }
)

/** The problem of a missing variable that the command needs. */
const missing = {
  DATABASE_URL: 'set it to the database to capture: postgres://user:password@host:5432/database',
  OUTBOX_DATABASE_URL: "set it to the database of walhook's own tables",
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
  required: readonly (keyof typeof missing)[],
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
  const mappingFile = wantedFile ?? (existsSync(defaultFile) ? defaultFile : null)
  const mapping =
    without === 'mapping' || mappingFile === null ? defaultMapping : readMapping(mappingFile, problems)

  if (values) problemsOfMail(values, add)
  const signIn = values && readSignIn(values, isSet, add)
  const tracing = readTracing(env, add)
  const idle = values ? idleVariables(values, without === 'mapping' ? null : mapping, isSet) : []
  const warnings = [...unknownVariables(env), ...idle]
  if (problems.length > 0 || values === null) return { ok: false, problems, warnings }
  const file = mappingFile === null ? {} : { mappingFile }
  const config = configOf(values, {
    mapping,
    ...file,
    ...(signIn && { signIn }),
    ...(tracing && { tracing }),
  })
  return { ok: true, warnings, config }
}

/** The values of variables, with what was read beside them. */
function configOf(
  values: Values,
  beside: {
    readonly mapping: readonly EntityMapping[]
    /** Absent: none was named or found. */
    readonly mappingFile?: string
    /** Absent: tokens only. */
    readonly signIn?: SignInConfig
    readonly tracing?: TracingConfig
  },
) {
  const { WALHOOK_SECRET_KEY: sealKey, WALHOOK_SECRET_KEY_OLD: older } = values
  const { WALHOOK_SMTP_URL: smtpUrl, WALHOOK_MAIL_FROM: from, WALHOOK_ALERT_TO: alertTo } = values
  return {
    ...beside,
    databaseUrl: values.DATABASE_URL,
    outboxUrl: values.OUTBOX_DATABASE_URL ?? values.DATABASE_URL,
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
    ...(smtpUrl && from && { mail: { smtpUrl, from } }),
    ...(alertTo.length > 0 && { alertTo }),
    mailDomains: values.WALHOOK_MAIL_DOMAINS,
    mailLanguage: values.WALHOOK_MAIL_LANGUAGE,
    host: values.HOST,
    publicUrls: values.WALHOOK_URL,
    frameAncestors: values.WALHOOK_FRAME_ANCESTORS,
    trustedProxies: values.WALHOOK_TRUSTED_PROXIES,
    keep: {
      logDays: values.WALHOOK_KEEP_LOG_DAYS,
      eventsDays: values.WALHOOK_KEEP_EVENTS_DAYS,
      auditDays: values.WALHOOK_KEEP_AUDIT_DAYS,
    },
    logsEntityIds: values.WALHOOK_LOG_ENTITY_IDS,
    port: values.PORT,
    logLevel: values.LOG_LEVEL,
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

/** The value of every variable; null: one is wrong, and `add` gets each problem. */
function readVariables(
  env: Readonly<Record<string, string | undefined>>,
  add: (what: string, found: string, mend: string) => void,
): Values | null {
  let isRight = true
  const values = Object.entries<Variable<unknown>>(variables).map(([name, variable]) => {
    const text = env[name]?.trim() || variable.default
    const parsed = text === null ? { value: null } : variable.parse(text, env)
    if ('value' in parsed) return [name, parsed.value]
    isRight = false
    for (const found of parsed.wrong) add(name, found, variable.mend)
    return [name, null]
  })
  return isRight ? (Object.fromEntries(values) as Values) : null
}
