import { afterAll, beforeAll, expect, test } from 'vitest'
import { freePort } from '../../playground/local-port.ts'
import { hasBrowser, useBrowser } from '../support/browser.ts'
import { keycloakMissing, startKeycloak } from '../support/keycloak.ts'
import { password, realmFor } from '../support/keycloak-realm.ts'
import { adminToken, startSampleSite } from '../support/sample-site.ts'

const missing = hasBrowser ? keycloakMissing() : 'there is no Chromium'
const browser = useBrowser()
let keycloak: Awaited<ReturnType<typeof startKeycloak>>
let site: Awaited<ReturnType<typeof startSampleSite>>
let origin = ''

beforeAll(async () => {
  if (missing) return
  const port = await freePort()
  origin = `http://localhost:${port}`
  const secret = 'a secret: of-the/client'
  keycloak = await startKeycloak(realmFor({ name: 'company', origin, secret }))
  site = await startSampleSite(() => 204, {
    PORT: String(port),
    WALHOOK_URL: `${origin},http://127.0.0.1:${port}`,
    WALHOOK_OIDC_ISSUER: keycloak.issuer,
    WALHOOK_OIDC_CLIENT_ID: 'walhook',
    WALHOOK_OIDC_CLIENT_SECRET: secret,
    WALHOOK_OIDC_NAME: 'Keycloak',
    WALHOOK_OIDC_TENANT_CLAIM: 'organisation_id',
    WALHOOK_OIDC_ALL_TENANTS: 'viewer',
  })
}, 200_000)
afterAll(async () => {
  await site?.[Symbol.asyncDispose]()
  await keycloak?.[Symbol.asyncDispose]()
}, 30_000)

type Page = Awaited<ReturnType<typeof browser.open>>['page']

/** Fills in Keycloak's own form. */
async function enter(page: Page, username: string): Promise<void> {
  await page.locator('#username').fill(username)
  await page.locator('#password').fill(password)
  await page.locator('#kc-login').click()
}

test('people log in at a real Keycloak: an administrator, a tenant and somebody without a role', {
  timeout: 120_000,
}, async ({ skip }) => {
  if (missing) skip(missing)
  const { context, page } = await browser.open({ viewport: { width: 1280, height: 800 } })
  await page.goto(`${origin}/audit`)
  await page.getByRole('link', { name: 'Log in with Keycloak' }).click()
  await enter(page, 'ann')
  await page.getByRole('heading', { level: 1, name: 'Audit' }).waitFor()
  expect(page.url()).toBe(`${origin}/audit`)
  await page.getByRole('table').getByText('ann@example.com').first().waitFor()

  // Out at both: Keycloak asks for the password again.
  await page.getByRole('button', { name: 'Log out', exact: true }).click()
  await page.waitForURL(`${origin}/login?done=out`)
  await page.getByRole('link', { name: 'Log in with Keycloak' }).click()
  await enter(page, 'cas')
  await page.getByText('cas@example.com').waitFor()
  // A tenant's: what is everybody's is not there.
  const status = await page.goto(`${origin}/health`)
  expect(status!.status()).toBe(200)
  expect(await page.getByText(/WAL/).count()).toBe(0)
  const answer = await fetch(`http://127.0.0.1:${new URL(origin).port}/api/audit`, {
    headers: { authorization: `Bearer ${adminToken}` },
  })
  const { data } = (await answer.json()) as {
    data: { action: string; actor: { kind: string; name: string } }[]
  }
  expect(data.filter(({ action }) => action === 'session.started').map(({ actor }) => actor)).toMatchObject([
    { kind: 'oidc', name: 'cas@example.com' },
    { kind: 'oidc', name: 'ann@example.com' },
  ])
  await context.close()

  const other = await browser.open({ locale: 'nl-NL' })
  await other.page.goto(origin)
  await other.page.getByRole('link', { name: 'Inloggen met Keycloak' }).click()
  await enter(other.page, 'noa')
  await other.page.getByRole('heading', { name: 'Geen toegang' }).waitFor()
  await other.page.getByText('noa@example.com').waitFor()
  // Another account can be chosen, although Keycloak knows this one.
  await other.page.getByRole('link', { name: 'Inloggen met een ander account' }).click()
  await other.page.locator('#password').waitFor()
  await other.context.close()

  const output = site.walhook.log.map(line => JSON.stringify(line)).join('\n')
  expect(output).not.toMatch(/eyJ|of-the\/client|[?&](code|state)=/)
})
