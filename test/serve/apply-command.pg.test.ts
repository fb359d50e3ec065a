import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { connect } from '../support/connect.ts'
import { createTestDatabase } from '../support/database.ts'
import { runHere } from '../support/run-command.ts'
import { startTestReceiver } from '../support/test-receiver.ts'
import { until } from '../support/wait.ts'
import { adminToken, runWalhook, startWalhook, type WalhookProcess } from '../support/walhook-process.ts'

const resources = new AsyncDisposableStack()
let url: string
let folder: string
let server: WalhookProcess
let receiver: Awaited<ReturnType<typeof startTestReceiver>>
let psql: Awaited<ReturnType<typeof connect>>

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'walhook-apply-'))
  resources.defer(() => rm(folder, { recursive: true }))
  const database = resources.use(await createTestDatabase({ hasOutbox: true }))
  psql = resources.use(await connect(database.url))
  await psql.query(
    'create table users (id integer primary key, name text, org text); create table companies (id integer primary key)',
  )
  const mapping = join(folder, 'walhook.yaml')
  await writeFile(mapping, 'entities: { user: { table: users, tenant: org }, company: { table: companies } }')
  receiver = resources.use(await startTestReceiver())
  server = resources.use(
    startWalhook(database, { WALHOOK_ALLOW_TARGETS: '127.0.0.1', WALHOOK_CONFIG: mapping }),
  )
  await server.ready()
  url = await server.url()
})
afterAll(() => resources.disposeAsync())
beforeEach(() => psql.query('delete from walhook.webhooks'))

const walhook = (args: readonly string[], env: Record<string, string> = {}) =>
  runHere(args, { WALHOOK_URL: url, WALHOOK_TOKEN: adminToken, ...env })

async function apply(text: string, args: readonly string[] = [], env: Record<string, string> = {}) {
  const file = join(folder, 'webhooks.yaml')
  await writeFile(file, text)
  return await walhook(['apply', file, ...args], env)
}
const all = async () =>
  ((await server.api('GET', '/api/webhooks?limit=100')) as { data: Record<string, unknown>[] }).data

const secret = `whsec_${Buffer.alloc(32, 5).toString('base64')}`
const env = { CRM_URL: '', CRM_TOKEN: 'Bearer token-of-crm', CRM_SECRET: secret }
const file = `
webhooks:
  CRM:
    url: \${CRM_URL}
    triggers: [user.new, user.update, webhook.failing]
    headers:
      Authorization: \${CRM_TOKEN}
      X-Price: $\${5}
    secret: \${CRM_SECRET}
    filter: { user.name: [Ada, null] }
    alert_to: [ops@example.com]
  Search:
    url: \${CRM_URL}-search
    triggers: [company.new]
    batch: { max_events: 50, max_wait_ms: 1000 }
`
const withUrl = () => ({ ...env, CRM_URL: receiver.url })

test('a file is previewed and applied once; secrets come from the environment, and are never shown', async () => {
  const dry = await apply(file, ['--dry-run'], withUrl())
  expect(dry).toMatchObject({ code: 0, stderr: '' })
  expect(dry.stdout).toContain('+ CRM\n')
  expect(dry.stdout).toContain(`    url: \${CRM_URL}\n`)
  expect(dry.stdout).toContain(
    'Dry run, nothing changed. Without --dry-run: 2 created, 0 changed, 0 deleted.',
  )
  expect(await all()).toEqual([])

  const done = await apply(file, [], withUrl())
  expect(done).toMatchObject({ code: 0, stderr: '' })
  expect(done.stdout).toMatch(/\+ Search \(webhook \d+\)/)
  // The one that the file gives is not shown; the other is, this once.
  expect(done.stdout.match(/whsec_\S+/g)).toHaveLength(1)
  expect(done.stdout + dry.stdout).not.toMatch(/token-of-crm|BQUFBQ/)
  const [crm, search] = await all()
  expect(crm).toMatchObject({
    name: 'CRM',
    url: receiver.url,
    managed_by: 'webhooks.yaml',
    filter: { 'user.name': ['Ada', null] },
    alert_to: ['ops@example.com'],
    headers: { authorization: '[redacted]', 'x-price': '[redacted]' },
  })
  expect(search).toMatchObject({
    name: 'Search',
    batch: { max_events: 50, max_wait_ms: 1000 },
    is_active: true,
  })
  await psql.query("insert into users values (1, 'Ada')")
  await until(() => receiver.arrivals.length > 0, { what: 'the event' })
  expect(receiver.arrivals[0]!.headers).toMatchObject({
    authorization: 'Bearer token-of-crm',
    'x-price': `\${5}`,
  })

  const version = async () =>
    (await psql.query('select sum(version)::int as n from walhook.webhooks')).rows[0].n
  const before = await version()
  const records = async () => (await psql.query('select count(*)::int as n from walhook.audit')).rows[0].n
  const audited = await records()
  expect((await apply(file, ['--prune'], withUrl())).stdout).toBe(
    'Nothing to do: the webhooks match the file.\n',
  )
  expect(await version()).toBe(before)
  expect(await records()).toBe(audited)
})

test('a difference has one line per setting; omitted settings get their defaults; --prune deletes', async () => {
  await apply(file, [], withUrl())
  const changed = file
    .replace('[user.new, user.update, webhook.failing]', '[user.delete, user.new]')
    .replace(/ {4}filter.*\n/, '')
    .replace(`X-Price: $\${5}`, 'X-Team: a')
    .replace(/ {2}Search:[\s\S]*$/, '')
  const other = { ...withUrl(), CRM_TOKEN: 'Bearer another' }
  const dry = await apply(changed, ['--dry-run'], other)
  const id = (await all())[0]!.id
  expect(dry.stdout).toBe(`~ CRM (webhook ${id})
    triggers: - user.update, - webhook.failing, + user.delete
    filter: {"user.name":["Ada",null]} → null
    headers.x-price: [redacted] → none
    headers.authorization: [redacted] → [redacted] (another)
    headers.x-team: [redacted]
? Search (webhook ${(await all())[1]!.id}): no longer in the file; --prune deletes it
Dry run, nothing changed. Without --dry-run: 0 created, 1 changed, 0 deleted.
`)
  expect((await apply(changed, ['--prune'], other)).stdout).toContain('0 created, 1 changed, 1 deleted.')
  expect(await all()).toMatchObject([{ name: 'CRM', filter: null, triggers: ['user.delete', 'user.new'] }])
  expect((await apply('webhooks:\n', ['--prune'])).stdout).toContain('1 deleted')
  expect(await all()).toEqual([])
})

test('every problem is reported at once, with its path in the file, and nothing is applied in part', async () => {
  await server.api('POST', '/api/webhooks', { name: 'Twice', url: receiver.url, triggers: ['user.new'] })
  await server.api('POST', '/api/webhooks', { name: 'Twice', url: receiver.url, triggers: ['user.new'] })
  const before = await all()
  const wrong = await apply(`
webhooks:
  Fine: { url: "${receiver.url}", triggers: [user.new] }
  Twice: { url: "${receiver.url}", triggers: [user.new] }
  Wrong:
    url: ftp://crm.example.com
    triggers: [user.create, webhook.failing]
    triggrs: [user.new]
    mode: sometimes
    alert_to: [ops]
    secret: short
    headers: { Host: x, X-Ok: y }
  Empty:
`)
  expect(wrong.code).toBe(1)
  const lines = wrong.stderr
    .trim()
    .split('\n')
    .map(line => line.replace(/^walhook: .*?webhooks\.yaml: /, ''))
  for (const part of [
    /^webhooks\.Twice: webhooks \d+, \d+ have the same name, "Twice"/,
    /^webhooks\.Wrong\.url: /,
    /^webhooks\.Wrong\.triggers\.0: .*user\.create/,
    /^webhooks\.Wrong\.triggrs: .*Did you mean triggers/,
    /^webhooks\.Wrong\.mode: /,
    /^webhooks\.Wrong\.alert_to\.0: /,
    /^webhooks\.Empty/,
  ])
    expect(lines).toContainEqual(expect.stringMatching(part))
  expect(await all()).toEqual(before)
})

test('an unset variable is an error with its name and path', async () => {
  const { code, stderr } = await apply(file, [], { CRM_URL: receiver.url })
  expect(code).toBe(1)
  expect(stderr).toContain(
    'webhooks.CRM.headers.Authorization: the environment variable CRM_TOKEN is not set',
  )
  expect(stderr).toContain('webhooks.CRM.secret: the environment variable CRM_SECRET is not set')
  expect(await all()).toEqual([])
  const odd = await apply(`webhooks:\n  A: { url: "\${CRM-URL}", triggers: [user.new] }\nhooks: 1\n`)
  expect(odd.stderr).toContain(`webhooks.A.url: \${CRM-URL} is not a reference`)
  expect(odd.stderr).toContain('hooks: unknown key')
  const twice = await apply('webhooks:\n  A: { url: x }\n  A: { url: y }\n')
  expect(twice.stderr).toMatch(/line 3, column 3: .*unique/)
})

test('names are read exactly as written in YAML', async () => {
  const lost = await apply('webhooks:\n  1e3: { url: x }\n  "1000": { url: y }\n')
  expect(lost.stderr).toMatch(/line 3, column 3: .*unique/)
  const other = await apply('webhooks:\n  0x10: { url: x }\n  2026: { url: x }\n')
  expect(other.stderr).toBe(
    `walhook: ${join(folder, 'webhooks.yaml')}: webhooks: YAML reads the name 0x10 as 16: write it in quotes\n`,
  )
  const merged = await apply('webhooks:\n  A: { <<: [1] }\n')
  expect(merged.stderr).toMatch(/webhooks\.yaml: Merge sources/)
  const endless = await apply('webhooks:\n  A: &a { url: x, filter: *a }\n')
  expect(endless).toMatchObject({ code: 1, stdout: '' })
  expect(endless.stderr).toMatch(/webhooks\.yaml: line 2, column 27: \*a repeats &a/)
})

test('an exported file applies without a difference', async () => {
  await apply(file, [], withUrl())
  await server.api('POST', '/api/webhooks', {
    name: `By hand: \${odd}`,
    url: receiver.url,
    triggers: ['user.new'],
    headers: { 'X-Key': 'a-key-of-hand' },
    update_fields: null,
    is_active: false,
  })
  // As seen by everybody, it would get what no other tenant may know of.
  const whole = {
    ...{ name: 'Whole', tenant: '5', url: receiver.url, triggers: ['user.update', 'user.delete'] },
    ...{ is_active: false, alert_to: ['a@example.com'], previous: true, traceparent: true },
    ...{ update_fields: ['user.name'], filter: { 'user.name': 'A' } },
    ...{ filter_entering: 'update', filter_leaving: 'delete', mode: 'latest', log_bodies: 'none' },
    batch: { max_events: 2, max_wait_ms: 0 },
  }
  await server.api('POST', '/api/webhooks', whole)
  const exported = await walhook(['export'])
  expect(exported).toMatchObject({ code: 0, stderr: '' })
  expect(exported.stdout).not.toMatch(/token-of-crm|a-key-of-hand|whsec_/)
  const names = [...exported.stdout.matchAll(/^# {3}(\S+)$/gm)].map(([, name]) => name!)
  expect(names).toEqual(['CRM_AUTHORIZATION', 'CRM_X_PRICE', 'BY_HAND_ODD_X_KEY'])
  const values = {
    CRM_AUTHORIZATION: env.CRM_TOKEN,
    CRM_X_PRICE: `\${5}`,
    BY_HAND_ODD_X_KEY: 'a-key-of-hand',
  }
  const { components } = (await server.api('GET', '/api/openapi.json')) as {
    components: { schemas: { WrittenWebhook: { properties: object } } }
  }
  const fields = Object.keys(components.schemas.WrittenWebhook.properties)
  const apart = ['filter_entering', 'headers', 'client_certificate', 'client_key', 'secret']
  const [, ofWhole = ''] = exported.stdout.split('  Whole:\n')
  expect([...ofWhole.matchAll(/^ {4}(\w+):/gm)].map(([, name]) => name).sort()).toEqual(
    fields.filter(field => !apart.includes(field)).sort(),
  )
  const dry = await apply(exported.stdout, ['--dry-run'], values)
  expect(dry.stderr).toBe('')
  expect(dry.stdout).toMatch(/~ Whole .*\n {4}managed_by: null → webhooks\.yaml\n/)
  expect(dry.stdout).toMatch(/~ By hand: \$\{odd\}.*\n {4}managed_by: null → webhooks\.yaml\n/)
  expect(dry.stdout).toContain('Without --dry-run: 0 created, 2 changed, 0 deleted.')
  expect((await walhook(['export', '--tenant', '5'])).stdout).toMatch(
    /^webhooks:\n {2}Whole:\n {4}tenant: "5"\n/,
  )
  const own = await walhook(['export', '--source', 'webhooks.yaml'])
  expect((await apply(own.stdout, ['--dry-run'], values)).stdout).toContain('Nothing to do')
  expect(own.stdout).not.toContain('By hand')
})

test('a webhook managed by another file is taken over only with --force', async () => {
  await apply(file, ['--source', 'theirs.yaml'], withUrl())
  const refused = await apply(file, [], withUrl())
  expect(refused.code).toBe(1)
  expect(refused.stderr).toContain('webhooks.CRM: "CRM" is managed by theirs.yaml')
  expect((await apply(file, ['--force'], withUrl())).stdout).toContain(
    'managed_by: theirs.yaml → webhooks.yaml',
  )
})

test('two simultaneous applies run one after the other, or one reports a conflict', async () => {
  const path = join(folder, 'webhooks.yaml')
  await writeFile(path, file)
  const settings = { WALHOOK_URL: url, WALHOOK_TOKEN: adminToken, ...withUrl() }
  const results = await Promise.all([1, 2].map(() => runWalhook(null, ['apply', path], settings)))
  expect(results.some(({ code }) => code === 0)).toBe(true)
  expect((await all()).map(({ name }) => name)).toEqual(['CRM', 'Search'])
})

test("the guide's example applies as written", async () => {
  const guide = await readFile(new URL('../../docs/guide/webhooks-as-code.md', import.meta.url), 'utf8')
  const example = /```yaml\n(.*?)```/s.exec(guide)![1]!
  const names = [...example.matchAll(/\$\{(\w+)\}/g)].map(([, name]) => name!)
  expect(names.length).toBeGreaterThan(0)
  const values = Object.fromEntries(names.map(name => [name, name.endsWith('SECRET') ? secret : 'a value']))
  const applied = await apply(
    example.replaceAll(/https:\/\/[^/\s]+/g, new URL(receiver.url).origin),
    [],
    values,
  )
  expect(applied).toMatchObject({ code: 0, stderr: '' })
})
