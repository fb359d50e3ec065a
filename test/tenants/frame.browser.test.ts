import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect } from 'vitest'
import { browserTest, hasBrowser, useBrowser } from '../support/browser.ts'
import { adminToken, startSampleSite } from '../support/sample-site.ts'

const browser = useBrowser()
let site: Awaited<ReturnType<typeof startSampleSite>>
let folder: string
/** The application of a SaaS: a page with the frame of its tenant. */
let src = ''
const saas = createServer((_request, response) =>
  response
    .writeHead(200, { 'content-type': 'text/html' })
    .end(
      `<title>SaaS</title><iframe title="Couplings" src="${src}" style="width:100%;height:700px"></iframe>`,
    ),
)
let app = ''

beforeAll(async () => {
  if (!hasBrowser) return
  await new Promise<void>(resolve => saas.listen(0, '127.0.0.1', resolve))
  app = `http://127.0.0.1:${(saas.address() as AddressInfo).port}`
  folder = await mkdtemp(join(tmpdir(), 'walhook-tenants-'))
  const mapping = join(folder, 'walhook.yaml')
  await writeFile(mapping, 'entities:\n  company: { table: companies, tenant: id }\n')
  site = await startSampleSite(() => 204, { WALHOOK_CONFIG: mapping, WALHOOK_FRAME_ANCESTORS: app })
})
afterAll(async () => {
  await site?.[Symbol.asyncDispose]()
  saas.close()
  if (folder) await rm(folder, { recursive: true })
})

const call = async (path: string, body: object) => {
  const headers = { authorization: `Bearer ${adminToken}`, 'content-type': 'application/json' }
  const answer = await fetch(`${site.url}${path}`, { method: 'POST', headers, body: JSON.stringify(body) })
  expect(answer.status).toBe(201)
  return (await answer.json()) as { url: string }
}

browserTest(
  "a tenant works in a frame of the SaaS's own page, in its language, and sees only its own webhooks",
  async () => {
    for (const tenant of ['1', '2'])
      await call('/api/webhooks', {
        name: `CRM of ${tenant}`,
        url: site.receiver.url,
        triggers: ['company.update'],
        tenant,
      })
    src = (await call('/api/sessions', { tenant: '1', role: 'admin', name: 'Jane', language: 'nl' })).url
    src = site.url + new URL(src).pathname + new URL(src).search
    const { context, page } = await browser.open({ locale: 'en-GB', viewport: { width: 1280, height: 800 } })
    // An administrator of the same site is logged in in another tab.
    const tab = await context.newPage()
    await tab.goto(`${site.url}/login`)
    await tab.locator('#token').fill(adminToken)
    await tab.locator('.log-in button').click()
    await tab.getByRole('link', { name: 'CRM of 2' }).waitFor()
    await page.goto(app)
    const frame = page.frameLocator('iframe')
    await frame.getByRole('heading', { level: 1, name: 'Koppelingen' }).waitFor()
    await frame.getByRole('link', { name: 'CRM of 1' }).waitFor()
    expect(await frame.getByText('CRM of 2').count()).toBe(0)
    const pictures = process.env.WALHOOK_PICTURES
    if (pictures) await page.screenshot({ path: join(pictures, 'frame.png') })

    await frame.getByRole('switch').click()
    await frame.locator('[role=switch][aria-checked=false]').waitFor()
    await frame.getByRole('navigation').getByRole('link', { name: 'Status', exact: true }).first().click()
    await frame.getByText('Alle webhooks werken.').waitFor()
    if (pictures) await page.screenshot({ path: join(pictures, 'health.png') })
    expect(await frame.getByText(/WAL/).count()).toBe(0)

    // What a script of the frame asks for is the tenant's, too.
    await frame.getByRole('link', { name: 'Koppelingen' }).first().click()
    await frame.getByRole('searchbox').pressSequentially('CRM')
    await frame.getByRole('link', { name: 'CRM of 1' }).waitFor()
    expect(await frame.getByText('CRM of 2').count()).toBe(0)

    await tab.reload()
    await tab.getByRole('link', { name: 'CRM of 2' }).waitFor()

    // The link is used up.
    await page.goto(app)
    await frame.getByText('Deze link is verlopen').waitFor()
    if (pictures) await page.screenshot({ path: join(pictures, 'over.png') })
    await context.close()
  },
)
