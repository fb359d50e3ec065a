import { expect, test } from 'vitest'
import { parseDatabaseUrl } from '../../src/domain/database/database-url.ts'
import { completeDatabaseUrl } from '../../src/domain/database/libpq-variables.ts'

test.each<[string, Record<string, string>, string]>([
  ['postgres://', { PGHOST: 'db', PGDATABASE: 'app', PGUSER: 'walhook' }, 'postgres://walhook@db/app'],
  ['postgres:///', { PGHOST: '/run/pg', PGPORT: '5433' }, 'postgres://%2Frun%2Fpg/?port=5433'],
  ['postgres:///app', { PGHOST: 'a,::1', PGPORT: '1,2' }, 'postgres://a,[::1]/app?port=1%2C2'],
  ['postgres://walhook@/app', { PGHOST: 'db' }, 'postgres://walhook@db/app'],
  ['postgres://walhook@db/app', { PGPASSWORD: 'a%/@:?#' }, 'postgres://walhook:a%25%2F%40%3A%3F%23@db/app'],
  ['postgres://db', { PGDATABASE: 'my app' }, 'postgres://db/my%20app'],
  ['postgresql://db/app', { PGSSLMODE: 'require' }, 'postgres://db/app?sslmode=require'],
  ['postgres://db/app', { PGOPTIONS: '-c a=b' }, 'postgres://db/app?options=-c+a%3Db'],
  [
    'postgres://db/app?sslmode=require',
    { PGSSLMODE: 'verify-full', PGSSLROOTCERT: '/ca.pem' },
    'postgres://db/app?sslmode=require&sslrootcert=%2Fca.pem',
  ],
  ['postgres://a:1,b/app', { PGPORT: '5433', PGHOST: 'c' }, 'postgres://a:1,b/app'],
  ['postgres://u:p@db:1/app?ssl=true', { PGUSER: 'x', PGPASSWORD: 'x', PGSSLMODE: 'x' }, ''],
  ['postgres:///app?host=a&user=u&password=p&port=1', { PGHOST: 'x', PGUSER: 'x', PGPORT: 'x' }, ''],
  ['postgres://db/app', { PGUSER: '', PGSSLMODE: '', PGAPPNAME: 'x', PGCONNECT_TIMEOUT: '1' }, ''],
  ['mysql://db/app', { PGUSER: 'x' }, ''],
])('%s with %j is %s', (text, env, completed) => {
  expect(completeDatabaseUrl(text, env).url).toBe(completed || text)
  if (!text.startsWith('mysql')) expect(parseDatabaseUrl(completed || text)).toHaveProperty('value')
})

test.each([
  ['PGSERVICE', 'x'],
  ['PGHOSTADDR', '127.0.0.1'],
  ['PGREQUIREAUTH', 'scram-sha-256'],
  ['PGREQUIREPEER', 'postgres'],
  ['PGSSLCRL', '/crl.pem'],
  ['PGSSLMODE', 'prefer'],
  ['PGGSSENCMODE', 'require'],
  ['PGTARGETSESSIONATTRS', 'standby'],
])('a setting that walhook cannot follow as libpq does is refused, also as %s=%s', (name, value) => {
  const { url, from } = completeDatabaseUrl('postgres://db/app', { [name]: value })
  expect(from).toEqual([name])
  expect(parseDatabaseUrl(url)).toHaveProperty('wrong')
})
