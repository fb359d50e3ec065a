import { expect, test } from 'vitest'
import { readDatabaseTls } from '../../src/domain/database/database-tls.ts'
import { parseDatabaseUrl } from '../../src/domain/database/database-url.ts'

const read = (search: string) => readDatabaseTls(new URLSearchParams(search))

test.each([
  ['sslmode=disable', 'disable'],
  ['sslmode=require', 'require'],
  ['ssl=true', 'require'],
  ['ssl=false', 'disable'],
  ['sslmode=no-verify', 'require'],
  ['sslmode=require&sslrootcert=/ca.pem', 'verify-ca'],
  ['sslmode=verify-ca&sslrootcert=/ca.pem', 'verify-ca'],
  ['sslmode=verify-full', 'verify-full'],
  ['sslrootcert=/ca.pem', 'verify-full'],
  ['sslrootcert=system', 'verify-full'],
  ['sslmode=verify-full&sslrootcert=system', 'verify-full'],
  ['sslmode=disable&sslrootcert=system', 'disable'],
  ['sslmode=disable&sslmode=require', 'require'],
  ['uselibpqcompat=true&sslmode=require', 'require'],
])('%s means %s', (search, mode) => {
  expect(read(search)).toMatchObject({ value: { mode } })
})

test('system certificate authorities come from Node.js, others from files', () => {
  expect(read('sslrootcert=system')).toMatchObject({ value: { rootFile: null } })
  expect(
    read(
      'sslmode=verify-full&sslcert=/c&sslkey=/k&sslpassword=p&ssl_min_protocol_version=TLSv1.3&channel_binding=require',
    ),
  ).toEqual({
    value: {
      mode: 'verify-full',
      rootFile: null,
      client: { certFile: '/c', keyFile: '/k', password: 'p' },
      minVersion: 'TLSv1.3',
      maxVersion: null,
      channelBinding: 'require',
    },
  })
})

test.each([
  'application_name=app&connect_timeout=10&keepalives_idle=5&options=-c%20a=b&sslsni=1&max_protocol_version=3.2',
  'schema=public&pgbouncer=true&connection_limit=5&pool_timeout=3',
  '',
])('%s has no TLS settings', search => {
  expect(read(search)).toEqual({ value: null })
})

test.each([
  [
    'sslmode=prefer',
    'sslmode=prefer, which may connect without TLS: use disable, require, verify-ca, verify-full',
  ],
  [
    'sslmode=allow',
    'sslmode=allow, which may connect without TLS: use disable, require, verify-ca, verify-full',
  ],
  ['sslmode=hunter2', 'an unknown sslmode: use disable, require, verify-ca, verify-full'],
  ['sslMode=require', 'an unknown parameter (did you mean sslmode?)'],
  ['sslmod=require', 'an unknown parameter (did you mean sslmode?)'],
  ['ssl_rootcert=/ca.pem', 'an unknown parameter (did you mean sslrootcert?)'],
  [
    'sslmode=verify-ca',
    'sslmode=verify-ca without sslrootcert, which any certificate of a public authority satisfies: add sslrootcert, or use verify-full',
  ],
  [
    'sslmode=require&sslrootcert=system',
    'sslrootcert=system with sslmode=require: it needs sslmode=verify-full',
  ],
  ['sslmode=require&sslcert=/c', 'sslcert without sslkey'],
  ['sslmode=require&sslkey=/k', 'sslkey without sslcert'],
  ['channel_binding=require', 'channel_binding=require without TLS: add sslmode'],
  ['sslmode=disable&channel_binding=require', 'channel_binding=require without TLS: add sslmode'],
  ['channel_binding=hunter2', 'an unknown channel_binding: use disable, prefer, require'],
  ['sslnegotiation=direct', 'sslnegotiation=direct without TLS: add sslmode'],
  [
    'sslmode=require&ssl_min_protocol_version=1.3',
    'an unknown ssl_min_protocol_version: use TLSv1, TLSv1.1, TLSv1.2, TLSv1.3',
  ],
  ['gssencmode=require', 'gssencmode=require, which walhook cannot do: use TLS'],
  ['require_auth=scram-sha-256', 'require_auth, which walhook cannot enforce: remove it'],
  ['hostaddr=10.0.0.1', 'hostaddr, which walhook does not read: name the address as the host'],
])("%s is refused, with the parameter's name", (search, wrong) => {
  expect(read(search)).toEqual({ wrong: [wrong] })
  for (const host of ['db', 'a,b'])
    expect(parseDatabaseUrl(`postgres://u:p@${host}/app?${search}`)).toEqual({ wrong: [wrong] })
})
