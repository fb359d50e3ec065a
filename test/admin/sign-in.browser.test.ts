import { afterAll, beforeAll, expect } from 'vitest'
import { freePort } from '../../playground/local-port.ts'
import { findInEveryViewport, findInTranslation } from '../support/axe.ts'
import { browserTest, hasBrowser, useBrowser } from '../support/browser.ts'
import { type OidcProvider, startOidcProvider } from '../support/oidc-provider.ts'
import { startSampleSite } from '../support/sample-site.ts'

const browser = useBrowser()
let provider: OidcProvider
let site: Awaited<ReturnType<typeof startSampleSite>>
/** Another site than the provider's, which is at 127.0.0.1. */
let origin = ''

beforeAll(async () => {
  if (!hasBrowser) return
  provider = await startOidcProvider({ id: 'walhook', secret: 'a-client-secret' })
  const port = await freePort()
  origin = `http://localhost:${port}`
  site = await startSampleSite(() => 204, {
    PORT: String(port),
    WALHOOK_URL: `${origin},http://127.0.0.1:${port}`,
    WALHOOK_OIDC_ISSUER: provider.issuer,
    WALHOOK_OIDC_CLIENT_ID: 'walhook',
    WALHOOK_OIDC_CLIENT_SECRET: 'a-client-secret',
    WALHOOK_OIDC_NAME: 'Example Login',
    NODE_DEBUG: 'esm',
  })
})
afterAll(async () => {
  await site?.[Symbol.asyncDispose]()
  await provider?.[Symbol.asyncDispose]()
})

browserTest('a user logs in at a provider on another site, and logs out of both', async () => {
  // Loaded when somebody signs in, and not before.
  expect(site.walhook.stderr()).toContain('node_modules/pino/')
  expect(site.walhook.stderr()).not.toContain('node_modules/openid-client/')
  provider.user = { sub: 'jane', email: 'jane@example.com', roles: ['operator'] }
  const { context, page } = await browser.open({ viewport: { width: 1280, height: 800 } })
  const refused: string[] = []
  page.on('console', message => message.type() === 'error' && refused.push(message.text()))
  await page.goto(`${origin}/events`)
  await page.getByRole('link', { name: 'Log in with Example Login' }).click()
  await page.getByRole('heading', { level: 1, name: 'Events' }).waitFor()
  expect(page.url()).toBe(`${origin}/events`)
  await page.getByText('jane@example.com').waitFor()
  const kept = await context.cookies(origin)
  expect(kept.map(({ name, sameSite, httpOnly }) => ({ name, sameSite, httpOnly }))).toEqual([
    { name: 'walhook_session', sameSite: 'Strict', httpOnly: true },
  ])
  // Going back does not come back to the provider's answer.
  await page.goto(`${origin}/couplings`)
  await page.getByRole('button', { name: 'Log out', exact: true }).click()
  await page.getByText('You are logged out.').waitFor()
  await page.waitForURL(`${origin}/login?done=out`)
  const asked = provider.requests.filter(({ path }) => path === '/end')
  expect(asked).toHaveLength(1)
  expect(new URLSearchParams(asked[0]!.body).get('id_token_hint')).toMatch(/^eyJ/)
  expect(refused).toEqual([])
  await context.close()
})

browserTest('a log-in works without a script, and shows its failure in Dutch', async () => {
  const { context, page } = await browser.open({ locale: 'nl-NL', javaScriptEnabled: false })
  provider.user = { sub: 'jim', email: 'jim@example.com', roles: ['viewer'] }
  await page.goto(origin)
  await page.getByRole('link', { name: 'Inloggen met Example Login' }).click()
  await page.getByText('jim@example.com').waitFor()
  await page.getByRole('button', { name: 'Uitloggen', exact: true }).click()
  await page.getByRole('button', { name: 'Uitloggen bij Example Login' }).click()
  await page.waitForURL(`${origin}/login?done=out`)

  provider.misbehaves = { callback: { code: '', error: 'access_denied' } }
  await page.getByRole('link', { name: 'Inloggen met Example Login' }).click()
  await page.getByText('Het inloggen bij Example Login is geannuleerd.').waitFor()
  provider.misbehaves = {}
  provider.user = { sub: 'noa', email: 'noa@example.com' }
  await page.getByRole('link', { name: 'Inloggen met Example Login' }).click()
  await page.getByText('Je bent bij Example Login ingelogd als noa@example.com.').waitFor()
  await context.close()
})

browserTest('the log-in pages have no accessibility problem, and fit every screen', async () => {
  provider.user = { sub: 'noa', email: 'noa.with.a.rather.long.name@department.example.com' }
  for (const locale of ['en-GB', 'nl-NL']) {
    const { context, page } = await browser.open({ locale })
    for (const path of ['/login', '/login?problem=unreachable', '/login/oidc']) {
      await page.goto(origin + path)
      expect(await (locale === 'en-GB' ? findInEveryViewport : findInTranslation)(page)).toEqual([])
    }
    await context.close()
  }
})
