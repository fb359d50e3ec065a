import { createHash, randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import { suspectKeys, suspectValues } from '../../src/domain/mapping/credential-values.ts'

const base64 = randomBytes(60).toString('base64')

test.each([
  ['bcrypt hashes', '$2b$12$R9h/cIPz0gi.URNNX3kh2OPST9/PgBkqquzi.Ss7KIUgO2t0jWMUW'],
  ['bcrypt hashes', '{bcrypt}$2y$10$R9h/cIPz0gi.URNNX3kh2OPST9/PgBkqquzi.Ss7KIUgO2t0jWMUW'],
  ['argon2 hashes', '$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHQ$RdescudvJCsgt3ub+b27aQ'],
  ['argon2 hashes', 'argon2$argon2id$v=19$m=102400,t=2,p=8$c29tZXNhbHQ$abc'],
  ['PBKDF2 hashes', 'pbkdf2_sha256$870000$Zx2$abcdef'],
  ['scrypt hashes', 'scrypt:32768:8:1$abc$def'],
  ['crypt hashes', '$6$rounds=5000$salt$hash'],
  ['phpass hashes', '$P$B55D6LjfHDkINU5wF.v2BuuzO0/XPk/'],
  ['salted hashes', `sha1$abcd$${'0a'.repeat(20)}`],
  ['LDAP hashes', '{SSHA}MTIzNDU2Nzg5MDEyMzQ1Njc4OTA='],
  ['ASP.NET password hashes', `AQAAAA${base64.slice(0, 72)}`],
  ['private keys', '-----BEGIN EC PRIVATE KEY-----\nMHc'],
  ['JSON Web Tokens', 'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl'],
  ['one-time password URIs', 'otpauth://totp/a?secret=b'],
  ['API tokens', 'sk_live_4eC39HqLyjWDarjtT1zdp7dc'],
  ['URLs with a password', 'https://user:hunter2@example.com/'],
])('one suspicious value is enough: %s', (what, value) => {
  expect(suspectValues(['Ada', null, value, '', 'Lovelace'])).toBe(what)
})

test('values that look like checksums are suspicious only if all do, and all differ', () => {
  const hex = [1, 2, 3].map(i => createHash('sha256').update(`${i}`).digest('hex'))
  expect(suspectValues(hex)).toMatch(/hexadecimal/)
  expect(suspectValues([...hex, 'Ada', 'Bob', 'Eve', 'Mallory'])).toBeNull()
  expect(suspectValues(hex.map(() => hex[0]!))).toBeNull()
  expect(suspectValues([1, 2, 3].map(() => randomBytes(40).toString('base64url')))).toMatch(/random/)
})

test.each([
  ['names', ['Ada Lovelace', 'Bob']],
  ['addresses', ['https://example.com/a/b?c=d', 'https://example.com/2']],
  [
    'paths',
    ['images/avatars/2026/01/portrait-of-somebody.png', 'images/avatars/2026/02/another-portrait.png'],
  ],
  ['UUIDs', ['7f0f5a2c-6a5f-4b0e-9a4e-0d7a4b8f3c11', '2c0f5a2c-6a5f-4b0e-9a4e-0d7a4b8f3c12']],
  ['numbers', ['12345678901234567890123456789012', '2']],
  ['prices', ['$2.50', '$6']],
  ['nothing', [null, '']],
])('%s are not suspicious', (_, values) => {
  expect(suspectValues(values)).toBeNull()
})

test('names and texts inside JSON follow the same rules', () => {
  const values = [
    '{"name": "Ada", "mfa": {"secret": "abc"}, "devices": [{"push_token": "x"}]}',
    '{"password": "p", "token_count": 3, "bio": "-----BEGIN PRIVATE KEY-----"}',
    '{"cut": "off',
    null,
    '"text"',
  ]
  expect(suspectKeys(values)).toEqual(['mfa.secret', 'devices.push_token', 'password', 'bio'])
})
