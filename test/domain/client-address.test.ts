import { expect, test } from 'vitest'
import { clientAddress, isTrusted, parseTrustedProxies } from '../../src/domain/access/client-address.ts'

const ranges = (text: string) => {
  const read = parseTrustedProxies(text)
  if (!read.ok) throw new Error(read.problems.join())
  return read.ranges
}
const proxies = ranges('10.0.0.0/8, 2001:db8:ffff::/48')

test.each<[string, string | undefined, string]>([
  ['192.0.2.1', undefined, '192.0.2.1'],
  // Not from a proxy: whatever it says of itself.
  ['192.0.2.1', '198.51.100.7', '192.0.2.1'],
  ['10.0.0.1', '198.51.100.7', '198.51.100.7'],
  ['::ffff:10.0.0.1', '198.51.100.7', '198.51.100.7'],
  ['2001:db8:ffff::1', '2001:db8:1::7', '2001:db8:1::7'],
  // Through two proxies of ours; the left one was written by the client.
  ['10.0.0.1', '203.0.113.66, 198.51.100.7, 10.0.0.2', '198.51.100.7'],
  ['10.0.0.1', '127.0.0.1,198.51.100.7', '198.51.100.7'],
  ['10.0.0.1', '198.51.100.7:4711', '198.51.100.7'],
  ['10.0.0.1', '[2001:db8:1::7]:4711', '2001:db8:1::7'],
  ['10.0.0.1', '::ffff:198.51.100.7', '198.51.100.7'],
  // All of them ours: the request began at one.
  ['10.0.0.1', '10.0.0.3, 10.0.0.2', '10.0.0.3'],
  // What is no address is believed of nobody, nor is what stands left of it.
  ['10.0.0.1', '198.51.100.7, unknown, 10.0.0.2', '10.0.0.2'],
  ['10.0.0.1', 'unknown', '10.0.0.1'],
  ['10.0.0.1', '', '10.0.0.1'],
  ['10.0.0.1', ',,,', '10.0.0.1'],
])('the client of a connection from %s with X-Forwarded-For %j is %s', (remote, forwardedFor, expected) => {
  expect(clientAddress(remote, forwardedFor, proxies)).toBe(expected)
})

test('without trusted proxies, X-Forwarded-For is ignored', () => {
  expect(clientAddress('127.0.0.1', '198.51.100.7', [])).toBe('127.0.0.1')
  expect(isTrusted('127.0.0.1', [])).toBe(false)
  expect(isTrusted('', proxies)).toBe(false)
})
