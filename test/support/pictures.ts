import { spawn } from 'node:child_process'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Page } from 'playwright-core'
import { startEmbeddedPostgres } from '../../playground/embedded-postgres.ts'
import { createSampleTables } from '../../playground/sample-app.ts'
import { startReceiver } from '../../src/receiver/receiver.ts'
import { openBrowser, viewports } from './browser.ts'

/**
 * Makes pictures of the pages, with an example of everything on them: `npm run pictures` those of the README, in
 * docs/pictures; with a folder as its argument each page in every look, to be looked at.
 */
const folder = process.argv[2]
const token = 'a-token-for-pictures'
await using stack = new AsyncDisposableStack()
const dataDir = await mkdtemp(join(tmpdir(), 'walhook-pictures-'))
stack.defer(() => rm(dataDir, { recursive: true, force: true }))
const postgres = await startEmbeddedPostgres({ dataDir: join(dataDir, 'postgres') })
stack.defer(() => postgres.stop())
await createSampleTables(postgres.url)
const good = await startReceiver({ port: 0, secrets: () => [] })
stack.defer(() => good.close())
const bad = await startReceiver({ port: 0, secrets: () => [], status: 503 })
stack.defer(() => bad.close())

const walhook = spawn(process.execPath, [join(import.meta.dirname, '..', '..', 'src', 'main.ts'), 'serve'], {
  cwd: tmpdir(),
  env: {
    PATH: process.env.PATH,
    DATABASE_URL: postgres.url,
    WALHOOK_SECRET_KEY: Buffer.alloc(32, 7).toString('base64'),
    WALHOOK_ADMIN_TOKEN: token,
    WALHOOK_ADMIN_USER: '1',
    WALHOOK_ALLOW_TARGETS: '127.0.0.1',
    PORT: '0',
  },
  stdio: ['ignore', 'pipe', 'inherit'],
})
stack.defer(async () => {
  walhook.kill()
  await new Promise(resolve => walhook.once('exit', resolve))
})
const url = await new Promise<string>(resolve =>
  createInterface({ input: walhook.stdout }).on('line', line => {
    const { msg, url } = JSON.parse(line)
    if (msg === 'walhook.started') resolve(url)
  }),
)
while (!(await fetch(`${url}/readyz`)).ok) await new Promise(resolve => setTimeout(resolve, 50))

async function api(method: string, path: string, body: object): Promise<void> {
  const headers = { authorization: `Bearer ${token}` }
  const response = await fetch(url + path, { method, headers, body: JSON.stringify(body) })
  if (!response.ok) throw new Error(await response.text())
}
const of = (entity: string, ...actions: string[]) => actions.map(action => `${entity}.${action}`)
const every = ['new', 'update', 'delete']
await api('POST', '/api/webhooks', {
  name: 'Salesforce',
  url: `${good.url}/salesforce`,
  triggers: [...of('user', ...every), ...of('company', ...every)],
})
await api('POST', '/api/webhooks', {
  name: 'Badge printer at the entrance',
  url: `${bad.url}/print?hall=3`,
  triggers: of('user', 'new', 'update'),
})
await api('POST', '/api/webhooks', {
  name: 'Newsletter',
  url: `${good.url}/newsletter`,
  triggers: of('user', 'new', 'delete'),
})
await api('POST', '/api/webhooks', {
  name: 'Data warehouse',
  url: `${good.url}/warehouse`,
  is_active: false,
  triggers: [...of('user', ...every), ...of('company', 'update')],
})
for (const [name, role] of [
  ['Anna de Vries', 'admin'],
  ['Badge desk', 'operator'],
  ['Monitoring', 'viewer'],
])
  await api('POST', '/api/tokens', { name, role, ...(role === 'admin' && { user_id: 2 }) })
await api('PATCH', '/api/webhooks/3', { name: 'Newsletter (Mailchimp)', triggers: of('user', ...every) })
await api('PATCH', '/api/webhooks/3', { name: 'Newsletter', triggers: of('user', 'new', 'delete') })
const { Client } = (await import('pg')).default
const client = new Client({ connectionString: postgres.url })
await client.connect()
for (let i = 1; i <= 12; i++)
  await client.query(`update users set company_role = $1 where id = ${(i % 5) + 1}`, [`Role ${i}`])
// A day before this one: more in the afternoon than at night, and an hour in which much failed.
await client.query(
  `insert into walhook.attempts (webhook_id, id, trigger, event_id, message_id, entity_type, entity_id, action_type,
     number, url, request_headers, started_at, duration_ms, status, outcome, error_class, error_message)
   select webhook_id, ((extract(epoch from now()) * 1000)::bigint - (86400 * (1 - day) * 1000)::bigint - 60000 << 20) + i, 'schedule', i,
     'msg_' || i, 'user', '1', 'update', 1, 'https://example.com/', '{}', now() - (1 - day) * interval '1 day', 40,
     case when failed then 503 else 204 end, case when failed then 'refused' else 'delivered' end,
     case when failed then 'http_error' end, case when failed then 'The receiver answered 503.' end
   from (select i, i / 12000.0 as day, i % 3 + 1 as webhook_id,
           i % 3 = 1 or i % 97 = 0 or (i between 7000 and 7500 and i % 2 = 0) as failed
         from generate_series(1, 12000) as i) as one
   where case when webhook_id = 2 then i % 7 = 0 else 0.55 - 0.4 * cos(day * 2 * pi()) > (i * 7919 % 1000) / 1000.0 end`,
)
await client.query(
  `update walhook.webhooks set failing_since = now() - interval '2 days 19 hours 48 minutes' where id = 2`,
)
/** On a connection of its own, for what a picture needs. */
async function sql(statement: string): Promise<void> {
  const one = new Client({ connectionString: postgres.url })
  await one.connect()
  await one.query(statement)
  await one.end()
}
await client.end()
await new Promise(resolve => setTimeout(resolve, 1_500))

const browser = await openBrowser()
stack.defer(() => browser.close())

type Shot = { readonly name: string; readonly path: string; readonly prepare?: (page: Page) => Promise<void> }
/** Goes on where the first such link leads. */
const opens = (link: string) => async (page: Page) => {
  await page.locator(link).first().click()
  await page.locator('.one').waitFor()
}
const shots: Shot[] = [
  { name: 'couplings', path: '/couplings' },
  {
    name: 'new',
    path: '/couplings/new',
    async prepare(page) {
      await page.getByLabel('Name', { exact: true }).first().fill('Salesforce')
      await page.getByLabel('URL', { exact: true }).fill(`${good.url}/salesforce`)
      await page.getByLabel('User: all').check()
      await page.getByText('walhook can send requests').waitFor()
      await page.getByRole('button', { name: 'Send test' }).click()
      await page.getByText('The receiver accepted the request.').waitFor()
      await page.locator('#preview pre').first().waitFor()
    },
  },
  {
    name: 'test',
    path: '/couplings/2/test',
    async prepare(page) {
      await page.getByRole('button', { name: 'Test webhook' }).click()
      await page.locator('.attempt').waitFor()
    },
  },
  { name: 'log', path: '/couplings/2/log' },
  { name: 'event', path: '/events', prepare: opens('tbody th a') },
  { name: 'health', path: '/health' },
  { name: 'secret', path: '/couplings/1/secret' },
]
const more: Shot[] = [
  { name: 'log-empty', path: '/couplings/4/log' },
  { name: 'log-filter', path: '/couplings/1/log?outcome=delivered&entity_type=user&from=2026-01-01T00:00' },
  { name: 'log-wrong', path: '/couplings/1/log?entity_type=user&from=x' },
  {
    name: 'attempt',
    path: '/couplings/2/log',
    prepare: async page => {
      await opens('.log th a')(page)
      await page.getByText('Copy as curl').click()
    },
  },
  { name: 'resend', path: '/couplings/2/resend-failed' },
  { name: 'cancel', path: '/couplings/2/cancel' },
  { name: 'events', path: '/events' },
  { name: 'events-unknown', path: '/events?id=12' },
  { name: 'nothing', path: '/couplings?search=nothing' },
  {
    name: 'wrong',
    path: '/couplings/new',
    prepare: async page => {
      await page.getByRole('button', { name: 'Create webhook' }).click()
      await page.getByText('More', { exact: true }).click()
    },
  },
  { name: 'edit', path: '/couplings/2' },
  {
    name: 'secret-shown',
    path: '/couplings/2/secret',
    prepare: async page => {
      await page.getByRole('button', { name: 'Show secret' }).click()
      await page.getByRole('button', { name: 'Copy' }).first().waitFor()
    },
  },
  { name: 'rotate', path: '/couplings/2/secret/rotate' },
  {
    name: 'rotated',
    path: '/couplings/3/secret/rotate',
    prepare: async page => {
      await page.getByRole('button', { name: 'Create new secret' }).click()
      await page.getByText('New secret created').waitFor()
    },
  },
  { name: 'tokens', path: '/tokens' },
  {
    name: 'token',
    path: '/tokens/new',
    prepare: async page => {
      await page.getByLabel('Name', { exact: true }).fill('Badge desk')
      await page.getByRole('button', { name: 'Create token' }).click()
      await page.getByText('Token created').waitFor()
    },
  },
  { name: 'token-new', path: '/tokens/new' },
  {
    name: 'token-wrong',
    path: '/tokens/new',
    prepare: async page => {
      await page.getByLabel('Valid for').selectOption('day')
      await page.getByRole('button', { name: 'Create token' }).click()
      await page.locator('#name-problem').waitFor()
    },
  },
  { name: 'revoke', path: '/tokens/1/revoke' },
  { name: 'audit', path: '/audit' },
  {
    name: 'health-red',
    path: '/health',
    prepare: async page => {
      await sql(
        `insert into walhook.gaps (slot_name, reason, detail, from_lsn)
         select 'walhook', 'slot invalidated', 'PostgreSQL has removed WAL that was not read yet (max_slot_wal_keep_size).', '0/1'
         where not exists (select from walhook.gaps)`,
      )
      await sql(
        `insert into walhook.ended_deliveries (webhook_id, event_id, entity_type, entity_id, state, attempts)
         select 2, id, entity_type, entity_id, 'dead', 10 from walhook.events limit 3 on conflict do nothing`,
      )
      await page.reload()
    },
  },
  { name: 'delete', path: '/couplings/2/delete' },
  { name: 'catalogue', path: '/catalogue' },
  { name: 'catalogue-user', path: '/catalogue/user.update' },
]

const context = await browser.newContext({ locale: 'en-GB', timezoneId: 'Europe/Amsterdam' })
const page = await context.newPage()
await page.goto(url)
if (folder) {
  await mkdir(folder, { recursive: true })
  for (const { width, colorScheme } of viewports) {
    await page.setViewportSize({ width, height: 760 })
    await page.emulateMedia({ colorScheme })
    await page.screenshot({ path: join(folder, `log-in-${width}-${colorScheme}.png`), fullPage: true })
  }
}
await page.getByLabel('Token', { exact: true }).fill(token)
await page.getByRole('button', { name: 'Log in' }).click()
await page.waitForURL('**/couplings')

const heights: Record<string, number> = { couplings: 680, log: 680, health: 830, secret: 560 }
const inReadme = [{ width: 1280, colorScheme: 'light' }] as const
const target = folder ?? join(import.meta.dirname, '..', '..', 'docs', 'pictures')
await mkdir(target, { recursive: true })
for (const { name, path, prepare } of folder ? [...shots, ...more] : shots)
  for (const { width, colorScheme } of folder ? viewports : inReadme) {
    await page.setViewportSize({ width, height: heights[name] ?? 900 })
    await page.emulateMedia({ colorScheme })
    await page.goto(url + path)
    await prepare?.(page)
    // What stays in place stands where it does before one has moved.
    await page.evaluate('scrollTo(0, 0)')
    const file = folder ? `${name}-${width}-${colorScheme}.png` : `${name}.png`
    await page.screenshot({ path: join(target, file), fullPage: folder !== undefined })
  }
