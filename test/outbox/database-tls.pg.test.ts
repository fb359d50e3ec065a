import { spawnSync } from 'node:child_process'
import { chmod, chown, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import type { EmbeddedPostgres } from '../../playground/embedded-postgres.ts'
import { readConfig } from '../../src/config/config.ts'
import { DatabaseClient } from '../../src/outbox/database/connecting.ts'
import { makeAuthority } from '../support/certificates.ts'
import { connect } from '../support/connect.ts'
import { needs } from '../support/needs.ts'
import { startOwnServer } from '../support/own-server.ts'
import { runWalhook, startWalhook } from '../support/walhook-process.ts'

let folder: string
let server: EmbeddedPostgres
let reload: (hba: readonly string[]) => Promise<void>

/** A server with a certificate for `localhost`, which its own authority signed. Roles: one with a password, one with a certificate. */
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'walhook-tls-'))
  server = await startOwnServer(join(folder, 'data'), { wal_level: 'logical' })
  const cluster = join(server.dataDir, 'cluster')
  const { uid, gid } = await stat(cluster)
  const ours = await makeAuthority()
  const [identity, person] = [await ours.certify('localhost'), await ours.certify('postgres')]
  const files = {
    [join(cluster, 'tls.crt')]: identity.cert,
    [join(cluster, 'tls.key')]: identity.key,
    [join(cluster, 'clients.crt')]: ours.cert,
    [join(folder, 'ca.pem')]: ours.cert,
    [join(folder, 'other.pem')]: (await makeAuthority('another')).cert,
    [join(folder, 'client.pem')]: person.cert,
    [join(folder, 'client.key')]: person.key,
  }
  for (const [file, text] of Object.entries(files)) {
    await writeFile(file, text, { mode: 0o600 })
    if (file.startsWith(cluster)) await chown(file, uid, gid)
  }
  const hba = join(cluster, 'pg_hba.conf')
  const before = await readFile(hba, 'utf8')
  reload = async lines => {
    await writeFile(hba, `${lines.join('\n')}\n${before}`)
    await using psql = await connect(server.url)
    await psql.query('select pg_reload_conf()')
    await psql.query('select pg_sleep(0.1)')
  }
  await using psql = await connect(server.url)
  for (const setting of [
    "ssl_cert_file = 'tls.crt'",
    "ssl_key_file = 'tls.key'",
    "ssl_ca_file = 'clients.crt'",
    'ssl = on',
  ])
    await psql.query(`alter system set ${setting}`)
  await reload([])
}, 60_000)
afterAll(async () => {
  await server.stop('immediate')
  await rm(folder, { recursive: true, force: true })
})

function urlWith(search: string, host = 'localhost'): string {
  const url = new URL(server.url)
  url.hostname = host
  url.search = search.replaceAll('FOLDER', folder)
  return url.href
}

const question = 'select ssl::text from pg_stat_ssl where pid = pg_backend_pid()'

async function asWalhook(url: string): Promise<string> {
  try {
    const client = new DatabaseClient({ connectionString: url })
    client.on('error', () => {})
    try {
      await client.connect()
      return (await client.query(question)).rows[0].ssl
    } finally {
      await client.end()
    }
  } catch {
    return 'refused'
  }
}

/** As libpq does. */
function asPsql(url: string, more: Record<string, string> = {}): string {
  const env = { PATH: process.env.PATH, ...more }
  const { status, stdout } = spawnSync('psql', [url, '-wXAtc', question], { encoding: 'utf8', env })
  return status === 0 ? stdout.trim() : 'refused'
}

describe.each([
  ['sslmode=disable', 'false', 'false'],
  ['sslmode=require', 'true', 'true'],
  ['ssl=true', 'true', 'true'],
  ['sslmode=require&sslrootcert=FOLDER/ca.pem', 'true', 'true'],
  ['sslmode=require&sslrootcert=FOLDER/other.pem', 'refused', 'refused'],
  ['sslmode=verify-ca&sslrootcert=FOLDER/ca.pem', 'true', 'true'],
  ['sslmode=verify-ca&sslrootcert=FOLDER/other.pem', 'refused', 'refused'],
  ['sslmode=verify-full&sslrootcert=FOLDER/ca.pem', 'true', 'refused'],
  ['sslmode=verify-full&sslrootcert=FOLDER/other.pem', 'refused', 'refused'],
  ['sslmode=verify-full&sslrootcert=FOLDER/missing.pem', 'refused', 'refused'],
  ['sslmode=verify-full', 'refused', 'refused'],
  ['sslmode=require&channel_binding=prefer', 'true', 'true'],
  ['sslmode=require&channel_binding=require', 'true', 'true'],
  ['sslmode=require&ssl_min_protocol_version=TLSv1.3', 'true', 'true'],
  ['sslmode=require&ssl_max_protocol_version=TLSv1.1&ssl_min_protocol_version=TLSv1', 'refused', 'refused'],
])('%s', (search, byName, byAddress) => {
  test.each([
    ['localhost', byName],
    ['127.0.0.1', byAddress],
  ])('to %s', async (host, expected) => {
    expect(await asWalhook(urlWith(search, host))).toBe(expected)
  })

  test('as libpq', ({ skip }) => {
    needs(skip, 'psql', 'the package postgresql-client of Debian brings it')
    expect([asPsql(urlWith(search)), asPsql(urlWith(search, '127.0.0.1'))]).toEqual([byName, byAddress])
  })
})

/** As walhook connects with these variables, beside a URL. */
async function withVariables(url: string, env: Record<string, string>): Promise<string> {
  const read = readConfig([], { ...env, DATABASE_URL: url })
  return read.ok ? await asWalhook(read.config.databaseUrl!) : 'refused'
}

describe.each<[Record<string, string>, string, string, string]>([
  [{ PGSSLMODE: 'require' }, '', 'localhost', 'true'],
  [{ PGSSLMODE: 'disable' }, '', 'localhost', 'false'],
  [{ PGSSLMODE: 'require' }, 'sslmode=disable', 'localhost', 'false'],
  [{ PGSSLMODE: 'verify-full', PGSSLROOTCERT: 'FOLDER/ca.pem' }, '', 'localhost', 'true'],
  [{ PGSSLMODE: 'verify-full', PGSSLROOTCERT: 'FOLDER/ca.pem' }, '', '127.0.0.1', 'refused'],
  [{ PGSSLMODE: 'verify-ca', PGSSLROOTCERT: 'FOLDER/ca.pem' }, '', '127.0.0.1', 'true'],
  [{ PGSSLMODE: 'verify-ca', PGSSLROOTCERT: 'FOLDER/other.pem' }, '', 'localhost', 'refused'],
  [{ PGSSLROOTCERT: 'FOLDER/other.pem' }, 'sslmode=require', 'localhost', 'refused'],
  [
    { PGSSLMODE: 'require', PGSSLMAXPROTOCOLVERSION: 'TLSv1.1', PGSSLMINPROTOCOLVERSION: 'TLSv1' },
    '',
    'localhost',
    'refused',
  ],
])('%j with %j to %s', (env, search, host, expected) => {
  const placed = () =>
    Object.fromEntries(Object.entries(env).map(([name, value]) => [name, value.replace('FOLDER', folder)]))

  test('is read', async () => {
    expect(await withVariables(urlWith(search, host), placed())).toBe(expected)
  })

  test('as libpq', ({ skip }) => {
    needs(skip, 'psql', 'the package postgresql-client of Debian brings it')
    expect(asPsql(urlWith(search, host), placed())).toBe(expected)
  })
})

test('without a variable, or with those of node-postgres alone, nothing comes from the environment', async () => {
  for (const [name, value] of [
    ['PGSSLMODE', 'require'],
    ['PGSSLNEGOTIATION', 'direct'],
    ['PGREPLICATION', 'database'],
    ['PGOPTIONS', '-c search_path=nowhere'],
  ] as const)
    vi.stubEnv(name, value)
  const client = new DatabaseClient({ connectionString: urlWith('') })
  await client.connect()
  expect((await client.query("select current_setting('search_path') as path")).rows[0].path).not.toBe(
    'nowhere',
  )
  expect((await client.query(question)).rows[0].ssl).toBe('false')
  await client.end()
  vi.unstubAllEnvs()
})

test('a password file is read as by libpq, for each connection', async ({ skip }) => {
  needs(skip, 'psql', 'the package postgresql-client of Debian brings it')
  await reload(['host all all all scram-sha-256'])
  const { username, password, port } = new URL(server.url)
  const file = join(folder, 'pgpass')
  const bare = new URL(urlWith('sslmode=disable'))
  bare.password = ''
  const url = bare.href
  const asBoth = async (env: Record<string, string>, search = '') => [
    await withVariables(url + search, env),
    asPsql(url + search, { HOME: folder, ...env }),
  ]
  await writeFile(file, `localhost:${port}:*:${username}:wrong`, { mode: 0o600 })
  expect(await asBoth({ PGPASSFILE: file })).toEqual(['refused', 'refused'])
  await writeFile(file, `other:*:*:*:wrong\nlocalhost:${port}:*:${username}:${decodeURIComponent(password)}`)
  expect(await asBoth({ PGPASSFILE: file })).toEqual(['false', 'false'])
  expect(await asBoth({}, `&passfile=${file}`)).toEqual(['false', 'false'])
  expect(await asBoth({ PGPASSWORD: decodeURIComponent(password) })).toEqual(['false', 'false'])
  expect(await asBoth({ PGPASSFILE: file, PGPASSWORD: 'wrong' })).toEqual(['refused', 'refused'])
  await chmod(file, 0o640)
  expect(await asBoth({ PGPASSFILE: file })).toEqual(['refused', 'refused'])
  const client = () => new DatabaseClient({ connectionString: `${url}&passfile=${file}` }).connect()
  await expect(client()).rejects.toThrow('chmod 0600')
  await rm(file)
  await expect(client()).rejects.toThrow(`the password file ${file} cannot be read (ENOENT)`)
  await reload([])
})

test('a client certificate logs in', async () => {
  await reload(['hostssl all all all cert'])
  const client = 'sslcert=FOLDER/client.pem&sslkey=FOLDER/client.key'
  expect(await asWalhook(urlWith(`sslmode=require&${client}`))).toBe('true')
  expect(await asWalhook(urlWith('sslmode=require'))).toBe('refused')
  // A password may not be given away: nothing is bound to this channel.
  expect(await asWalhook(urlWith(`sslmode=require&${client}&channel_binding=require`))).toBe('refused')
  await reload([])
})

test.each(['password', 'trust'])(
  'with channel_binding=require, a server that requests %s is refused',
  async method => {
    await reload([`hostssl all all all ${method}`])
    const url = urlWith('sslmode=require&channel_binding=require')
    const client = new DatabaseClient({ connectionString: url })
    client.on('error', () => {})
    await expect(client.connect()).rejects.toThrow(
      'channel_binding=require, but the server does not offer it',
    )
    await reload([])
  },
)

test('walhook captures over TLS, or reports the fix', async () => {
  await using psql = await connect(server.url)
  await psql.query(`create table users (id integer primary key); create table companies (id integer primary key);
    create publication walhook for table users, companies with (publish_via_partition_root = true)`)
  if (Number((await psql.query('show server_version_num')).rows[0].server_version_num) >= 180_000)
    await psql.query('alter publication walhook set (publish_generated_columns = stored)')
  const database = { url: urlWith('sslmode=verify-full&sslrootcert=FOLDER/ca.pem&channel_binding=require') }
  const named = { ...database, name: 'walhook' } as Parameters<typeof startWalhook>[0]
  {
    await using walhook = startWalhook(named)
    await walhook.ready()
    const { rows } = await psql.query(
      `select a.application_name, s.ssl from pg_stat_activity a join pg_stat_ssl s using (pid) where a.application_name like 'walhook%'`,
    )
    expect(rows).toContainEqual({ application_name: 'walhook capture', ssl: true })
    expect(rows.filter(({ ssl }) => !ssl)).toEqual([])
  }
  const severalHosts = urlWith('sslmode=require').replace('@localhost:', '@nowhere.invalid:1,localhost:')
  const { stdout } = await runWalhook(named, ['check', '--json'], { DATABASE_URL: severalHosts })
  expect(JSON.parse(stdout).filter(({ code }: { code: string }) => code === 'tls')).toMatchObject([
    { level: 'warning', what: 'DATABASE_URL, TLS' },
  ])
  await reload(['hostnossl all all all reject'])
  for (const [search, said] of [
    ['', 'add ?sslmode=verify-full'],
    ['sslmode=verify-full', 'sslrootcert'],
    ['sslmode=verify-full&sslrootcert=FOLDER/other.pem', 'sslrootcert'],
  ] as const) {
    const { code, stderr } = await runWalhook(named, ['serve'], { DATABASE_URL: urlWith(search) })
    expect([code, stderr]).toEqual([1, expect.stringContaining(said)])
  }
  const { stderr } = await runWalhook(named, ['serve'], {
    DATABASE_URL: urlWith('sslmode=verify-full&sslrootcert=FOLDER/ca.pem', '127.0.0.1'),
  })
  expect(stderr).toContain('name the host as its certificate does')
}, 60_000)
