import { expect, test } from 'vitest'
import { findPassword } from '../../src/domain/database/password-file.ts'

const owner = { host: 'db', port: 5432, database: 'app', user: 'walhook' }

test.each([
  ['db:5432:app:walhook:right', {}, 'right'],
  ['*:*:*:*:right', {}, 'right'],
  ['# a comment\n\nother:5432:app:walhook:wrong\r\ndb:*:app:walhook:right\r\n*:*:*:*:later', {}, 'right'],
  [
    String.raw`\:\:1:5432:a\\b:walhook:p\:q\\r:s`,
    { host: '::1', database: String.raw`a\b` },
    String.raw`p:q\r:s`,
  ],
  ['localhost:5432:app:walhook:right', { host: '/var/run/postgresql' }, 'right'],
  ['/tmp:5432:app:walhook:right', { host: '/tmp' }, 'right'],
  ['db:5433:app:walhook:wrong', {}, null],
  ['db:5432:app:walhook', {}, null],
  ['db:5432:app:walhook:', {}, null],
  ['#db:5432:app:walhook:wrong', {}, null],
  ['', {}, null],
])('%j gives %j the password %j', (text, more, password) => {
  expect(findPassword(text, { ...owner, ...more })).toBe(password)
})
