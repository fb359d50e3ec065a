import { expect, test } from 'vitest'
import { isFromOurPage } from '../../src/domain/access/same-origin.ts'

const host = 'walhook.example.com:8080'
const ours = 'http://walhook.example.com:8080'

test.each<[string, string | undefined, string | undefined, boolean]>([
  ['GET', 'cross-site', 'https://evil.example', true],
  ['HEAD', 'cross-site', undefined, true],
  ['POST', 'same-origin', ours, true],
  ['POST', 'same-origin', undefined, true],
  ['POST', 'same-site', ours, false],
  ['POST', 'cross-site', ours, false],
  ['POST', 'none', undefined, false],
  ['POST', 'cross-site', undefined, false],
  ['DELETE', 'cross-site', 'https://evil.example', false],
  ['POST', undefined, ours, true],
  // A proxy ends TLS: the page's scheme is another one than ours.
  ['POST', undefined, 'https://walhook.example.com:8080', true],
  ['POST', undefined, 'http://walhook.example.com', false],
  ['POST', undefined, 'https://evil.example', false],
  ['POST', undefined, 'https://walhook.example.com.evil.example:8080', false],
  ['POST', undefined, 'null', false],
  ['POST', undefined, '', false],
  ['POST', undefined, undefined, false],
  ['post', undefined, undefined, false],
])('%s with Sec-Fetch-Site %j and Origin %j: %j', (method, secFetchSite, origin, expected) => {
  expect(isFromOurPage({ method, secFetchSite, origin, host })).toBe(expected)
})

test('host names are compared without case', () => {
  const request = { method: 'POST', secFetchSite: undefined, origin: ours }
  expect(isFromOurPage({ ...request, host: 'WALHOOK.example.com:8080' })).toBe(true)
  expect(isFromOurPage({ ...request, host: undefined })).toBe(false)
})
