import { expect, test } from 'vitest'
import { adminToken, openTestApi } from '../support/open-api.ts'

test('a token that calls too often gets Retry-After; others continue', async () => {
  const clock = { ms: 0 }
  await using at = await openTestApi({ rate: { quota: 3, windowS: 60 }, nowMs: () => clock.ms })
  const other = await at.token('viewer')
  const left = []
  for (let i = 0; i < 3; i++) {
    const { status, headers } = await at.call('GET', '/api/webhooks')
    expect(status).toBe(200)
    expect(headers.get('ratelimit-policy')).toBe('"token";q=3;w=60')
    left.push(headers.get('ratelimit'))
  }
  expect(left).toEqual(['"token";r=2;t=20', '"token";r=1;t=40', '"token";r=0;t=60'])
  const refused = await at.call('POST', '/api/webhooks', {})
  expect(refused).toMatchObject({ status: 429, json: { title: 'Too many requests', status: 429 } })
  expect(refused.headers.get('retry-after')).toBe('20')
  expect((await at.call('GET', '/api/webhooks', undefined, other)).status).toBe(200)
  clock.ms += 20_000
  expect((await at.call('GET', '/api/webhooks')).status).toBe(200)
  expect((await at.call('GET', '/api/webhooks')).status).toBe(429)
})

test('an address that sends wrong tokens is limited; holders of a right token are not', async () => {
  const clock = { ms: 0 }
  await using at = await openTestApi({ nowMs: () => clock.ms })
  const right = await at.token('viewer')
  const call = async (token: string, address = '192.0.2.1') =>
    (await at.request('/api/webhooks', { headers: { authorization: `Bearer ${token}` } }, address)).status
  for (let i = 0; i < 5; i++) expect(await call(`whk_guess${i}`)).toBe(401)
  const held = await at.call('GET', '/api/webhooks', undefined, 'whk_guess')
  expect(held).toMatchObject({ status: 429, json: { detail: expect.stringContaining('wrong tokens') } })
  expect(held.headers.get('retry-after')).toBe('1')
  // Also one that this process has not seen before, and the one of the configuration.
  expect(await call(right)).toBe(200)
  expect(await call(adminToken)).toBe(200)
  expect(await call('whk_guess')).toBe(429)
  expect(await call('whk_guess', '192.0.2.2')).toBe(401)
  clock.ms += 1_000
  expect(await call('whk_guess')).toBe(401)
  // Without a token nobody has guessed.
  expect((await at.call('GET', '/api/webhooks', undefined, null)).status).toBe(401)
})

test('the API description needs no token, as JSON and as a page that loads nothing', async () => {
  await using at = await openTestApi()
  const { status, json } = await at.call('GET', '/api/openapi.json', undefined, null)
  expect({ status, openapi: json.openapi }).toEqual({ status: 200, openapi: '3.1.1' })
  const page = await at.call('GET', '/api/docs', undefined, null)
  expect(page.headers.get('content-security-policy')).toMatch(/^default-src 'none'; style-src 'sha256-/)
  expect(page.headers.get('content-type')).toMatch(/^text\/html/)
  expect(page.text).toContain('/api/webhooks/{id}/test')
})
