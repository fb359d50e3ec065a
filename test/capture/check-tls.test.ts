import { expect, test } from 'vitest'
import { tlsLine } from '../../src/capture/check/check-tls.ts'
import { parseDatabaseUrl } from '../../src/domain/database/database-url.ts'

const away = ['db.example.com']

test.each([
  ['sslmode=require', away, true, 'warning', 'sslmode=verify-full, with sslrootcert='],
  ['sslmode=no-verify', away, true, 'warning', 'sslmode=verify-full'],
  ['', away, true, 'warning', 'sslmode=disable if the network is safe'],
  ['', ['localhost', 'db'], true, 'warning', 'sslmode=verify-full'],
  ['sslmode=disable', away, true, 'ok', null],
  ['sslmode=require&sslrootcert=/ca.pem', away, true, 'ok', null],
  ['sslmode=verify-full', away, true, 'ok', null],
] as const)('%s to %j is checked (server with TLS: %s): %s', (search, hosts, hasTls, level, mend) => {
  const read = parseDatabaseUrl(`postgres://db/app?${search}`)
  const tls = 'value' in read ? read.value.tls : null
  expect(tlsLine('DATABASE_URL', { tls, hosts }, hasTls)).toMatchObject({
    ...{ code: 'tls', what: 'DATABASE_URL, TLS', level },
    mend: mend === null ? null : expect.stringContaining(mend),
  })
})

test.each([
  ['sslmode=require', ['localhost']],
  ['', ['127.0.0.1', '::1', '[::1]', '/tmp', '%2Ftmp']],
])('%s to this machine (%j) needs no word about TLS', (search, hosts) => {
  const read = parseDatabaseUrl(`postgres://db/app?${search}`)
  expect(tlsLine('x', { tls: 'value' in read ? read.value.tls : null, hosts }, true)).toBe(null)
})

test('without TLS, a server that has none needs no word', () => {
  expect(tlsLine('x', { tls: null, hosts: away }, false)).toBe(null)
})
