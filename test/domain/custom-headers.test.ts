import { expect, test } from 'vitest'
import { changeHeaders } from '../../src/domain/webhook/custom-headers.ts'

const isTaken = (name: string, value: string) => changeHeaders([], {}, { [name]: value }).ok

test('a reserved header is refused in upper and lower case', () => {
  const names =
    'Host Transfer-Encoding Connection Keep-Alive TE Trailer Upgrade Expect User-Agent Accept-Encoding Content-Type Content-Length Content-Encoding Proxy-Authorization Webhook-Id Webhook-Signature Webhook-Anything'
  for (const name of names.split(' '))
    expect([name, isTaken(name, 'x'), isTaken(name.toLowerCase(), 'x')]).toEqual([name, false, false])
  for (const name of ['Authorization', 'X-Tenant', 'Cookie', "!#$%&'*+-.^_`|~9"])
    expect([name, isTaken(name, 'x')]).toEqual([name, true])
})

test('no value can start another header or another request', () => {
  for (const end of ['\r\nx: y', '\n', '\r', '\0', '\u2028', '\u010d\u010a', ' ', '\t'])
    expect([end, isTaken('x-a', `a${end}`)]).toEqual([end, false])
  for (const name of ['a b', 'a:', 'a\r\nb', '', 'ä', '__proto__', 'a'.repeat(101)])
    expect([name, changeHeaders([], {}, JSON.parse(`{${JSON.stringify(name)}: "x"}`)).ok]).toEqual([
      name,
      false,
    ])
  expect(isTaken('x-a', 'x'.repeat(4_096))).toBe(true)
  expect(isTaken('x-a', 'x'.repeat(4_097))).toBe(false)
})
