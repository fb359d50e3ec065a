import { expect, test } from 'vitest'
import { parseEgressProxy } from '../../src/domain/webhook/egress-proxy.ts'

test.each([
  ['http://proxy.internal:3128', { host: 'proxy.internal', port: 3128, authorization: null }],
  ['http://10.0.0.1:80/', { host: '10.0.0.1', port: 80, authorization: null }],
  ['http://[fd00::1]:3128', { host: 'fd00::1', port: 3128, authorization: null }],
  [
    'http://walhook:p%40ss%3A@proxy:3128',
    { host: 'proxy', port: 3128, authorization: `Basic ${Buffer.from('walhook:p@ss:').toString('base64')}` },
  ],
  ['http://token@proxy:1', { host: 'proxy', port: 1, authorization: `Basic ${btoa('token:')}` }],
])('%s', (text, proxy) => {
  expect(parseEgressProxy(text)).toEqual({ proxy })
})

test.each([
  'proxy:hunter2',
  'hunter2',
  'https://walhook:hunter2@proxy:3128',
  'socks5://walhook:hunter2@proxy:1080',
  'http://walhook:hunter2@proxy',
  'http://walhook:hunter2@proxy:99999',
  'http://walhook:hunter2%@proxy:3128',
  'http://walhook:hunter2@proxy:3128/path',
  'http://walhook:hunter2@proxy:3128?a',
])('%s is refused, and the message does not repeat it', text => {
  const parsed = parseEgressProxy(text)
  expect(parsed).toEqual({ problem: expect.any(String) })
  expect(JSON.stringify(parsed)).not.toContain('hunter2')
})
