import { expect, test } from 'vitest'
import { parsePublicUrls, urlOfHost } from '../../src/domain/access/public-url.ts'

const read = parsePublicUrls('https://walhook.example.com, http://walhook:8080')
if (!read.ok) throw new Error(read.problems.join())
const { urls } = read

test.each<[string | undefined, string | null]>([
  ['walhook.example.com', 'https'],
  ['WALHOOK.example.com', 'https'],
  ['walhook.example.com:443', 'https'],
  ['walhook:8080', 'http'],
  ['walhook.example.com:80', null],
  ['walhook.example.com:8080', null],
  ['walhook', null],
  ['evil.example', null],
  ['walhook.example.com.evil.example', null],
  ['walhook.example.com@evil.example', null],
  ['evil.example/walhook.example.com', null],
  ['user@walhook.example.com', null],
  ['walhook.example.com/x', null],
  ['walhook.example.com#', null],
  ['127.0.0.1:8080', null],
  ['', null],
  [undefined, null],
])('the host header %j leads to %j', (host, protocol) => {
  expect(urlOfHost(host, urls)?.protocol ?? null).toBe(protocol)
})
