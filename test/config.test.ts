import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { readConfig } from '../src/config/config.ts'
import { defaultMapping } from '../src/domain/mapping/mapping.ts'
import { defaultScheduleMs } from './support/schedule.ts'

const key = Buffer.alloc(32, 3).toString('base64')
const url = 'postgres://walhook:secret@localhost:5432/app'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'walhook-config-'))
})
afterAll(() => rm(folder, { recursive: true }))

function problemsOf(env: Record<string, string>, required: Parameters<typeof readConfig>[0] = []) {
  const result = readConfig(required, env)
  return result.ok ? [] : result.problems
}

test('an empty environment gives the defaults', () => {
  const result = readConfig([], {})
  expect(result).toEqual({
    ok: true,
    warnings: [],
    config: {
      databaseUrl: null,
      outboxUrl: null,
      mapping: defaultMapping,
      slotName: 'walhook',
      publicationName: 'walhook',
      roles: new Set(['capture', 'delivery', 'api']),
      placing: 'plain',
      adminToken: null,
      adminUserId: null,
      sealKey: null,
      allow: expect.anything(),
      deny: expect.anything(),
      proxy: null,
      scheduleMs: defaultScheduleMs,
      mailDomains: [],
      mailLanguage: 'en',
      probeIntervalMs: null,
      maxInFlightPerWebhook: 100,
      host: '127.0.0.1',
      publicUrls: [],
      frameAncestors: [],
      trustedProxies: [],
      keep: { logDays: 30, eventsDays: 30, auditDays: null },
      logsEntityIds: true,
      port: 8080,
      logLevel: 'info',
    },
  })
})

test('a variable that is empty or white space counts as not set', () => {
  expect(readConfig([], { PORT: '', HOST: '  ', DATABASE_URL: '' })).toEqual(readConfig([], {}))
})

const collector = 'http://localhost:4318'
const named = `OTEL_EXPORTER_OTLP_ENDPOINT`

test.each<[Record<string, string>, object | undefined]>([
  [{}, undefined],
  [{ [named]: collector }, { url: `${collector}/v1/traces`, ratio: 1 }],
  [
    { [named]: 'x', OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: collector },
    { url: collector, ratio: 1 },
  ],
  [
    { [named]: collector, OTEL_TRACES_SAMPLER: 'always_off' },
    { url: `${collector}/v1/traces`, ratio: 0 },
  ],
  [
    { [named]: collector, OTEL_TRACES_SAMPLER: 'traceidratio', OTEL_TRACES_SAMPLER_ARG: '0.1' },
    { url: `${collector}/v1/traces`, ratio: 0.1 },
  ],
  [{ [named]: collector, OTEL_SDK_DISABLED: 'TRUE' }, undefined],
  [{ [named]: collector, OTEL_TRACES_EXPORTER: 'none' }, undefined],
  // Of other programs: without an endpoint nothing of it counts.
  [{ OTEL_TRACES_SAMPLER: 'xray', OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc', OTEL_LOG_LEVEL: 'x' }, undefined],
])('%j is read as the tracing configuration %j', (env, tracing) => {
  const result = readConfig([], env)
  expect(result).toMatchObject({ ok: true, warnings: [] })
  expect(result.ok && result.config.tracing).toEqual(tracing)
})

test('all tracing errors are reported at once, without secrets', () => {
  const problems = problemsOf({
    [named]: 'ftp://user:secret@localhost',
    OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc',
    OTEL_TRACES_SAMPLER: 'traceidratio',
    OTEL_TRACES_SAMPLER_ARG: '50%',
  })
  expect(problems.map(({ what }) => what)).toEqual([
    named,
    'OTEL_EXPORTER_OTLP_PROTOCOL',
    'OTEL_TRACES_SAMPLER_ARG',
  ])
  expect(JSON.stringify(problems)).not.toContain('secret')
  expect(problemsOf({ [named]: collector, OTEL_TRACES_SAMPLER: 'xray' })).toMatchObject([
    { what: 'OTEL_TRACES_SAMPLER', found: '"xray"', mend: expect.stringContaining('always_on, always_off') },
  ])
})

test('every variable is read', async () => {
  const file = join(folder, 'mapping.yaml')
  await writeFile(file, 'entities: { order: { table: orders } }')
  const result = readConfig(['DATABASE_URL', 'WALHOOK_SECRET_KEY'], {
    DATABASE_URL: url,
    OUTBOX_DATABASE_URL: 'postgresql://outbox/db',
    WALHOOK_CONFIG: file,
    WALHOOK_SLOT: 'slot_1',
    WALHOOK_PUBLICATION: '_pub',
    WALHOOK_ROLES: 'api, delivery',
    WALHOOK_ADMIN_TOKEN: 'a'.repeat(16),
    WALHOOK_ADMIN_USER: '7',
    WALHOOK_SECRET_KEY: key,
    WALHOOK_ALLOW_TARGETS: '10.0.0.0/8, receiver',
    WALHOOK_DENY_TARGETS: '10.0.0.9:22',
    WALHOOK_PROXY: 'http://walhook:p%40ss@proxy:3128',
    WALHOOK_RETRY_SCHEDULE: '5s, 2h',
    WALHOOK_MAX_IN_FLIGHT: '1000',
    WALHOOK_MAIL_DOMAINS: 'Example.com, example.org',
    WALHOOK_MAIL_LANGUAGE: 'nl',
    WALHOOK_PROBE_INTERVAL: '30s',
    HOST: '::',
    PORT: '0',
    LOG_LEVEL: 'debug',
  })
  expect(result).toMatchObject({
    ok: true,
    config: {
      databaseUrl: url,
      outboxUrl: 'postgresql://outbox/db',
      mapping: [{ entityType: 'order' }],
      slotName: 'slot_1',
      publicationName: '_pub',
      roles: new Set(['api', 'delivery']),
      adminToken: 'a'.repeat(16),
      adminUserId: '7',
      proxy: { host: 'proxy', port: 3128, authorization: 'Basic d2FsaG9vazpwQHNz' },
      scheduleMs: [5_000, 7_200_000],
      mailDomains: ['example.com', 'example.org'],
      mailLanguage: 'nl',
      probeIntervalMs: 30_000,
      maxInFlightPerWebhook: 1_000,
      host: '::',
      port: 0,
      logLevel: 'debug',
    },
  })
  expect(result.ok && result.config.sealKey!.bytes).toEqual(Buffer.alloc(32, 3))
})

test('the outbox is in the source database by default', () => {
  expect(readConfig([], { DATABASE_URL: url })).toMatchObject({ config: { outboxUrl: url } })
  expect(problemsOf({ OUTBOX_DATABASE_URL: url }, ['OUTBOX_DATABASE_URL'])).toEqual([])
  expect(problemsOf({}, ['OUTBOX_DATABASE_URL'])).toMatchObject([{ what: 'DATABASE_URL' }])
})

test.each([
  ['DATABASE_URL', 'localhost:5432/app'],
  ['DATABASE_URL', 'http://localhost/app'],
  ['DATABASE_URL', 'postgres://[::1/app'],
  ['OUTBOX_DATABASE_URL', 'mysql://hunter2@localhost'],
  ['WALHOOK_SLOT', 'Slot'],
  ['WALHOOK_SLOT', '1slot'],
  ['WALHOOK_SLOT', 's'.repeat(64)],
  ['WALHOOK_PUBLICATION', 'my-pub'],
  ['WALHOOK_ROLES', 'capture,'],
  ['WALHOOK_ROLES', 'Capture'],
  ['WALHOOK_ADMIN_TOKEN', 'short'],
  ['WALHOOK_ADMIN_TOKEN', 'with a space in the middle'],
  ['WALHOOK_ADMIN_TOKEN', 'sechzehn-Zeichen-für-walhook'],
  ['WALHOOK_SECRET_KEY', 'hunter2'],
  ['WALHOOK_SECRET_KEY_OLD', 'hunter2'],
  ['WALHOOK_SECRET_KEY', Buffer.alloc(31, 7).toString('base64')],
  ['WALHOOK_SECRET_KEY', Buffer.alloc(32, 7).toString('hex')],
  ['WALHOOK_ALLOW_TARGETS', '300.0.0.0/8'],
  ['WALHOOK_PROXY', 'proxy:3128'],
  ['WALHOOK_PROXY', 'https://walhook:hunter2@proxy:3128'],
  ['WALHOOK_ALLOW_TARGETS', '0.0.0.0/33'],
  ['WALHOOK_DENY_TARGETS', '10.0.0.9:0'],
  ['WALHOOK_RETRY_SCHEDULE', '5'],
  ['WALHOOK_RETRY_SCHEDULE', '5s,'],
  ['WALHOOK_RETRY_SCHEDULE', '8d'],
  ['WALHOOK_MAX_IN_FLIGHT', '0'],
  ['WALHOOK_MAX_IN_FLIGHT', '1001'],
  ['WALHOOK_MAX_IN_FLIGHT', '1e2'],
  ['WALHOOK_MAIL_DOMAINS', 'example.com, ops@example.com'],
  ['WALHOOK_PROBE_INTERVAL', '30'],
  ['WALHOOK_PROBE_INTERVAL', '5s, 5m'],
  ['PORT', 'http'],
  ['PORT', '65536'],
  ['PORT', '-1'],
  ['PORT', '80.5'],
  ['WALHOOK_KEEP_LOG_DAYS', '0'],
  ['WALHOOK_KEEP_LOG_DAYS', 'forever'],
  ['WALHOOK_KEEP_EVENTS_DAYS', '3651'],
  ['WALHOOK_KEEP_EVENTS_DAYS', '1.5'],
  ['LOG_LEVEL', 'verbose'],
])('%s may not be %j: one problem with its fix', (what, value) => {
  const problems = problemsOf({ [what]: value })
  expect(problems).toEqual([
    { code: 'variable', what, found: expect.any(String), mend: expect.stringMatching(/.{10}/) },
  ])
  if (/URL|TOKEN|KEY/.test(what)) expect(JSON.stringify(problems)).not.toContain(value)
})

test('all problems are reported at once', () => {
  const problems = problemsOf({ PORT: 'x', LOG_LEVEL: 'y', WALHOOK_ROLES: 'a,b' }, [
    'DATABASE_URL',
    'WALHOOK_SECRET_KEY',
  ])
  expect(problems.map(({ what }) => what)).toEqual([
    'DATABASE_URL',
    'WALHOOK_SECRET_KEY',
    'WALHOOK_ROLES',
    'WALHOOK_ROLES',
    'PORT',
    'LOG_LEVEL',
  ])
})

test('every wrong variable is reported without secrets', () => {
  const secrets = {
    DATABASE_URL: 'mysql://root:hunter2@db/app',
    OUTBOX_DATABASE_URL: 'root:hunter2@db/app',
    WALHOOK_ADMIN_TOKEN: 'hunter2',
    WALHOOK_SECRET_KEY: 'hunter2',
  }
  const others = {
    WALHOOK_CONFIG: join(folder, 'nowhere.yaml'),
    WALHOOK_SLOT: 'My Slot',
    WALHOOK_PUBLICATION: 'My Publication',
    WALHOOK_ROLES: 'cook',
    WALHOOK_ALLOW_TARGETS: '10.0.0.0/99',
    WALHOOK_DENY_TARGETS: '*',
    WALHOOK_RETRY_SCHEDULE: 'often',
    WALHOOK_MAX_IN_FLIGHT: 'many',
    WALHOOK_PROBE_INTERVAL: 'now',
    PORT: 'x',
    LOG_LEVEL: 'y',
  }
  const problems = problemsOf({ ...secrets, ...others }, ['DATABASE_URL', 'WALHOOK_SECRET_KEY'])
  expect(problems.map(({ what }) => what).sort()).toEqual(Object.keys({ ...secrets, ...others }).sort())
  expect(JSON.stringify(problems)).not.toContain('hunter2')
})

test('walhook.yaml in the working directory is the default mapping file', async () => {
  const before = process.cwd()
  const other = join(folder, 'other.yaml')
  await writeFile(join(folder, 'walhook.yaml'), 'entities: { order: { table: orders } }')
  await writeFile(other, 'entities: { ticket: { table: tickets } }')
  process.chdir(folder)
  try {
    expect(readConfig([], {})).toMatchObject({ config: { mapping: [{ entityType: 'order' }] } })
    expect(readConfig([], { WALHOOK_CONFIG: other })).toMatchObject({
      config: { mapping: [{ entityType: 'ticket' }] },
    })
  } finally {
    process.chdir(before)
  }
})

test('a mapping file that cannot be read is a problem, and a wrong one reports each path', async () => {
  expect(problemsOf({ WALHOOK_CONFIG: folder })).toMatchObject([
    {
      what: `mapping file ${folder}`,
      found: expect.stringContaining('EISDIR'),
      mend: expect.stringMatching(/^name the file/),
    },
  ])
  const file = join(folder, 'wrong.yaml')
  await writeFile(file, 'entities: { user: { table: 5 }, company: { table: companies, key: "" } }')
  expect(problemsOf({ WALHOOK_CONFIG: file }).map(({ found }) => found.split(':')[0])).toEqual([
    'entities.user.table',
    'entities.company.key',
  ])
})

test.each([
  ['entities: {', /^mapping file .+broken\.yaml$/],
  ['entities: { user: { table: 5 } }', /^mapping file .+broken\.yaml$/],
  ['entities: &all { user: *all }', /^mapping file .+broken\.yaml$/],
  [
    'entities: { user: { table: users, fields: { fixed: { __proto__: 1 } } } }',
    /^mapping file .+broken\.yaml$/,
  ],
])('a mapping file with %j is refused by its name', async (content, what) => {
  const file = join(folder, 'broken.yaml')
  await writeFile(file, content)
  expect(problemsOf({ WALHOOK_CONFIG: file })).toMatchObject([{ what: expect.stringMatching(what) }])
})

test('a missing mapping file is a problem', () => {
  expect(problemsOf({ WALHOOK_CONFIG: join(folder, 'nowhere.yaml') })).toMatchObject([
    { what: 'WALHOOK_CONFIG', found: expect.stringContaining('nowhere.yaml does not exist') },
  ])
})

test('an unknown variable is a warning with the nearest name', () => {
  const { ok, warnings } = readConfig([], {
    WALHOOK_ALOW_TARGETS: '127.0.0.1',
    WALHOOK_COLOUR_OF_THE_SKY: 'blue',
    WALHOOK_SLOT: 'walhook',
    // Kubernetes gives these to every pod beside services named walhook and walhook-capture.
    WALHOOK_SERVICE_HOST: '10.0.0.1',
    WALHOOK_PORT: 'tcp://10.0.0.1:80',
    WALHOOK_PORT_80_TCP_ADDR: '10.0.0.1',
    WALHOOK_CAPTURE_SERVICE_PORT_HTTP: '80',
    WALHOOK_CAPTURE_PORT_80_TCP_PROTO: 'tcp',
  })
  expect(ok).toBe(true)
  const found = 'unknown variable, without effect'
  const code = 'variable_unknown'
  expect(warnings).toEqual([
    { code, what: 'WALHOOK_ALOW_TARGETS', found, mend: 'write WALHOOK_ALLOW_TARGETS, or remove it' },
    { code, what: 'WALHOOK_COLOUR_OF_THE_SKY', found, mend: 'remove it' },
  ])
})

const tenants = 'entities: { order: { table: orders, tenant: org } }'
test.each<[string, Record<string, string>, string, string[]]>([
  ['nothing', {}, '', []],
  ['tenants without a public URL', {}, tenants, ['WALHOOK_URL']],
  ['tenants with one', { WALHOOK_URL: 'https://hooks.example.com' }, tenants, []],
  [
    'a frame over http',
    { WALHOOK_URL: 'http://hooks.example.com', WALHOOK_FRAME_ANCESTORS: 'https://app.example.com' },
    '',
    ['WALHOOK_FRAME_ANCESTORS'],
  ],
  [
    'a frame over https',
    { WALHOOK_URL: 'https://hooks.example.com', WALHOOK_FRAME_ANCESTORS: 'https://app.example.com' },
    '',
    [],
  ],
  ['a sender without a server', { WALHOOK_MAIL_FROM: 'a@b.c' }, '', ['WALHOOK_MAIL_FROM']],
  [
    'domains of mails, and neither server nor tenants',
    { WALHOOK_MAIL_DOMAINS: 'b.c' },
    '',
    ['WALHOOK_MAIL_DOMAINS', 'WALHOOK_MAIL_DOMAINS'],
  ],
  ['an account of no token', { WALHOOK_ADMIN_USER: '7' }, '', ['WALHOOK_ADMIN_USER']],
])('%s: a variable without effect is a warning', async (_what, env, text, expected) => {
  const file = join(folder, 'tenants.yaml')
  await writeFile(file, text)
  const read = readConfig([], { ...env, ...(text !== '' && { WALHOOK_CONFIG: file }) })
  expect(read.ok).toBe(true)
  expect(read.warnings.map(({ what }) => what)).toEqual(expected)
  for (const { code } of read.warnings) expect(code).toBe('variable_idle')
})

test('tenant claims without tenants in the mapping, and tenants without a claim, are warnings', () => {
  const url = { ...oidc, WALHOOK_OIDC_ROLES: 'staff=admin' }
  const warned = (env: Record<string, string>) =>
    readConfig([], { ...url, ...env }).warnings.map(({ what }) => what)
  expect(warned({ WALHOOK_OIDC_TENANT_CLAIM: 'org' })).toEqual(['WALHOOK_OIDC_TENANT_CLAIM'])
  expect(warned({ WALHOOK_OIDC_ALL_TENANTS: 'staff' })).toEqual(['WALHOOK_OIDC_ALL_TENANTS'])
})

test('a pattern is not a mail domain', () => {
  expect(problemsOf({ WALHOOK_MAIL_DOMAINS: 'example.com, *.example.com' })).toMatchObject([
    { what: 'WALHOOK_MAIL_DOMAINS', found: '"*.example.com"' },
  ])
})

test('public URLs and trusted proxies are read, and errors are reported without a password', () => {
  const result = readConfig([], {
    WALHOOK_URL: 'https://walhook.example.com, http://walhook:8080',
    WALHOOK_TRUSTED_PROXIES: '10.0.0.0/8,2001:db8::/32',
  })
  expect(result).toMatchObject({
    ok: true,
    config: {
      publicUrls: [
        { protocol: 'https', host: 'walhook.example.com' },
        { protocol: 'http', host: 'walhook:8080' },
      ],
      trustedProxies: [{ prefixBits: 8 }, { prefixBits: 32 }],
    },
  })
  const problems = problemsOf({
    WALHOOK_URL: 'walhook.example.com,https://a.example/hooks,https://user:hunter2@b.example',
    WALHOOK_TRUSTED_PROXIES: 'nginx,10.0.0.1/8,10.0.0.0/33',
  })
  expect(problems.map(({ what, found }) => [what, found])).toEqual([
    ['WALHOOK_URL', 'a part of it is no http or https URL'],
    ['WALHOOK_URL', '"https://a.example" is followed by a path: walhook is served at the root of a host'],
    ['WALHOOK_URL', 'it holds a user or a password'],
    ['WALHOOK_TRUSTED_PROXIES', '"nginx" is no address and no CIDR'],
    ['WALHOOK_TRUSTED_PROXIES', expect.stringContaining('write 10.0.0.0/8')],
    ['WALHOOK_TRUSTED_PROXIES', expect.stringContaining('from 0 to 32')],
  ])
  expect(JSON.stringify(problems)).not.toContain('hunter2')
})

const oidc = {
  WALHOOK_OIDC_ISSUER: 'https://login.example.com/realms/a',
  WALHOOK_OIDC_CLIENT_ID: 'walhook',
  WALHOOK_URL: 'https://walhook.example.com',
}

test('sign-in by OpenID Connect needs an issuer, a client and a URL, and has defaults for the rest', async () => {
  const file = join(folder, 'secret')
  await writeFile(file, `${'from the file'.replaceAll(' ', '-')}\n`)
  const result = readConfig([], { ...oidc, WALHOOK_OIDC_CLIENT_SECRET_FILE: file })
  expect(result.ok && result.config.signIn).toEqual({
    issuer: oidc.WALHOOK_OIDC_ISSUER,
    clientId: 'walhook',
    clientSecret: 'from-the-file',
    scopes: 'openid profile email',
    providerName: 'login.example.com',
    sessionMs: 12 * 3_600_000,
    mapping: {
      roleClaim: 'roles',
      roles: new Map([
        ['viewer', 'viewer'],
        ['operator', 'operator'],
        ['admin', 'admin'],
      ]),
      tenantClaim: null,
      allTenants: new Set(),
      nameClaim: null,
      userClaim: null,
    },
  })
})

test('all sign-in errors are reported at once, without secrets', () => {
  const problems = problemsOf({
    WALHOOK_OIDC_ISSUER: 'https://user:hush@login.example.com',
    WALHOOK_OIDC_SCOPES: 'profile',
    WALHOOK_OIDC_ROLES: 'a=owner',
    WALHOOK_OIDC_SESSION: '2d',
  })
  expect(problems.map(({ what }) => what)).toEqual([
    'WALHOOK_OIDC_ISSUER',
    'WALHOOK_OIDC_SCOPES',
    'WALHOOK_OIDC_ROLES',
    'WALHOOK_OIDC_SESSION',
  ])
  expect(JSON.stringify(problems)).not.toContain('hush')
  const more = {
    ...{ WALHOOK_OIDC_ISSUER: oidc.WALHOOK_OIDC_ISSUER, WALHOOK_OIDC_CLIENT_SECRET: 'hush' },
    ...{ WALHOOK_OIDC_CLIENT_SECRET_FILE: '/nowhere', WALHOOK_OIDC_ALL_TENANTS: 'root' },
  }
  expect(problemsOf(more).map(({ what, found }) => `${what}: ${found}`)).toEqual([
    'WALHOOK_OIDC_CLIENT_ID: not set, but WALHOOK_OIDC_ISSUER is',
    'WALHOOK_URL: not set, but WALHOOK_OIDC_ISSUER is',
    'WALHOOK_OIDC_CLIENT_SECRET_FILE: set, and so is WALHOOK_OIDC_CLIENT_SECRET',
    'WALHOOK_OIDC_ALL_TENANTS: "root" gives no role',
  ])
  expect(problemsOf({ ...oidc, WALHOOK_OIDC_CLIENT_SECRET_FILE: '/nowhere' })).toMatchObject([
    { what: 'WALHOOK_OIDC_CLIENT_SECRET_FILE', found: '/nowhere cannot be read (ENOENT)' },
  ])
  expect(problemsOf({ WALHOOK_OIDC_CLIENT_ID: 'walhook' })).toMatchObject([
    { what: 'WALHOOK_OIDC_ISSUER', found: 'not set, but WALHOOK_OIDC_CLIENT_ID is' },
  ])
  expect(readConfig([], { ...oidc, WALHOOK_OIDC_ISUER: 'x' }).warnings).toMatchObject([
    { what: 'WALHOOK_OIDC_ISUER', mend: 'write WALHOOK_OIDC_ISSUER, or remove it' },
  ])
})
