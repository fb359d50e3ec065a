import { expect, test } from 'vitest'
import { createRedactor } from '../../src/domain/shown/redact.ts'
import { shownAttempt, shownUrl } from '../../src/domain/shown/shown.ts'

const secret = `Bearer s3cr/et+K"ey&<1>='x`
const redact = createRedactor([secret])
const html = (text: string, write: (code: number) => string) =>
  text.replaceAll(/[^A-Za-z0-9 ]/g, character => write(character.charCodeAt(0)))

test.each<[string, string]>([
  ['as it is', secret],
  ['without its scheme', secret.slice(7)],
  ['JSON of JavaScript', JSON.stringify({ got: secret })],
  ['JSON of PHP', JSON.stringify({ got: secret }).replaceAll('/', '\\/')],
  [
    'JSON of .NET',
    `{"got":"${html(secret, code => `\\u${code.toString(16).toUpperCase().padStart(4, '0')}`)}"}`,
  ],
  ['JSON of Go', JSON.stringify(secret).replaceAll(/[<>&]/g, c => `\\u00${c.charCodeAt(0).toString(16)}`)],
  ['HTML with numbers', `<pre>${html(secret, code => `&#${code};`)}</pre>`],
  ['HTML with hexadecimal numbers', `<pre>${html(secret, code => `&#x${code.toString(16)};`)}</pre>`],
  [
    'HTML with names',
    secret
      .replaceAll('&', '&amp;')
      .replaceAll('<', '&lt;')
      .replaceAll('>', '&gt;')
      .replaceAll('"', '&quot;')
      .replaceAll("'", '&#39;'),
  ],
  [
    'JSON in HTML',
    JSON.stringify(secret).replaceAll('&', '&amp;').replaceAll('"', '&quot;').replaceAll('<', '&lt;'),
  ],
  ['a URL', `https://a.test/?echo=${encodeURIComponent(secret)}`],
  ['a URL with every character', html(secret, code => `%${code.toString(16)}`).replaceAll(' ', '%20')],
  ['a URL in JSON in HTML', `&quot;${encodeURIComponent(secret)}&quot;`],
  ['Base64', Buffer.from(secret).toString('base64')],
  ['Base64 behind one byte', Buffer.from(`x${secret}yz`).toString('base64')],
  ['Base64 behind two bytes', Buffer.from(`xy${secret}z`).toString('base64')],
  ['Base64 for URLs, within', Buffer.from(`user:${secret}`).toString('base64url')],
  ['hexadecimal digits', Buffer.from(secret).toString('hex')],
  ['hexadecimal digits in capitals', Buffer.from(secret).toString('hex').toUpperCase()],
  ['capitals', secret.toUpperCase()],
  ['small letters', secret.toLowerCase()],
  ['cut off', `{"authorization":"${secret.slice(0, 20)}`],
  ['cut off within a code', `{"authorization":"Bearer s3cr\\/et\\u00`],
])('a secret that a response repeats as %s is redacted', (_, text) => {
  const safe = redact(`before ${text}`)
  expect(safe).toContain('[redacted]')
  expect(safe).toMatch(/^before /)
  expect(safe).not.toMatch(/s3cr|et\+K|et%2[bB]K/i)
  // Of what is written otherwise, at most the ends are left.
  expect(safe.length - 'before [redacted]'.length).toBeLessThan(text.length / 2)
})

test('the decoded login and password of Basic are redacted too', () => {
  const basic = createRedactor([`Basic ${Buffer.from('walhook:opensesame').toString('base64')}`])
  expect(basic('hello walhook:opensesame')).toBe('hello [redacted]')
  expect(basic('{"password":"opensesame"}')).toBe('{"password":"[redacted]"}')
})

test('all other text is unchanged', () => {
  const text = `{"a":"\\u00e9 100% &amp; &#8364; \\/ %zz \\"","n":1}`
  expect(redact(text)).toBe(text)
  expect(createRedactor([])(text)).toBe(text)
  expect(createRedactor(['abc'])('abc')).toBe('abc')
})

test('a hostile text is redacted in linear time', () => {
  const text = '%25'.repeat(5_000) + '&amp;'.repeat(200) + '\\u0041'.repeat(100)
  expect(redact(text).length).toBeLessThanOrEqual(text.length)
})

test.each([
  ['https://crm.example.com/hooks/T0/s3cret?token=abc', 'https://crm.example.com/[redacted]'],
  ['https://user:pass@crm.example.com:8443/', 'https://crm.example.com:8443/'],
  ['https://crm.example.com/', 'https://crm.example.com/'],
  ['https://crm.example.com/?token=abc', 'https://crm.example.com/[redacted]'],
])('%s is shown as %s to roles below admin', (url, shown) => {
  expect(shownUrl(url, 'viewer')).toBe(shown)
  expect(shownUrl(url, 'operator')).toBe(shown)
  expect(shownUrl(url, 'admin')).toBe(url)
})

test('parts of the URL that a receiver repeats are redacted too', () => {
  const url = 'https://crm.example.com/hooks/s3cret-path?token=t0ken%2Fvalue'
  const attempt = {
    request: { url, headers: {}, body: '{}' },
    errorMessage: 'redirects to https://crm.example.com/hooks/s3cret-path/',
    response: {
      status: 404,
      headers: { location: '/hooks/s3cret-path?token=t0ken/value' },
      body: 'Cannot POST &#x2F;hooks&#x2F;s3cret-path?token=t0ken%2fvalue',
      truncated: false,
    },
  }
  expect(JSON.stringify(shownAttempt(attempt, 'operator'))).not.toMatch(/s3cret-path|t0ken/)
  expect(shownAttempt(attempt, 'admin')).toBe(attempt)
})
