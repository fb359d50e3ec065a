import { spawnSync } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openCall } from '../../src/commands/client/call.ts'
import { webhooks as command } from '../../src/commands/webhooks.ts'
import { readClientConfig } from '../../src/config/client-config.ts'
import { connect } from '../support/connect.ts'
import { createTestDatabase } from '../support/database.ts'
import { compileSchema } from '../support/event-schemas.ts'
import { needs } from '../support/needs.ts'
import { programPath } from '../support/program.ts'
import { runHere } from '../support/run-command.ts'
import { startTestReceiver } from '../support/test-receiver.ts'
import { until } from '../support/wait.ts'
import { adminToken, startWalhook } from '../support/walhook-process.ts'

const resources = new AsyncDisposableStack()
let url: string
let receiver: Awaited<ReturnType<typeof startTestReceiver>>
let psql: Awaited<ReturnType<typeof connect>>
let accepts = true

beforeAll(async () => {
  const database = resources.use(await createTestDatabase({ hasOutbox: true }))
  psql = resources.use(await connect(database.url))
  await psql.query(`create table users (id integer primary key, name text);
    create table companies (id integer primary key)`)
  receiver = resources.use(await startTestReceiver(() => (accepts ? 204 : 500)))
  const env = { WALHOOK_ALLOW_TARGETS: '127.0.0.1', WALHOOK_ADMIN_USER: '1', WALHOOK_RETRY_SCHEDULE: '7d' }
  const walhook = resources.use(startWalhook(database, env))
  await walhook.ready()
  url = await walhook.url()
})
afterAll(() => resources.disposeAsync())

async function walhook(args: readonly string[], env: Record<string, string> = {}) {
  const ran = await runHere(args, { WALHOOK_URL: url, WALHOOK_TOKEN: adminToken, ...env })
  return { ...ran, json: () => JSON.parse(ran.stdout) }
}
const webhooks = (...args: string[]) => walhook(['webhooks', ...args])
const create = async (name: string) => {
  const made = await webhooks(
    ...['create', '--name', name, '--url', receiver.url],
    ...['--trigger', 'user.new,user.update', '--trigger', 'user.delete', '--header', 'X-Team: a:b'],
  )
  expect(made).toMatchObject({ code: 0, stderr: '' })
  return made.json()
}

test('events missed by an inactive webhook are counted, sent once and followed', async () => {
  const { id } = await create('Often off')
  expect((await webhooks('missed', `${id}`)).json()).toBeNull()
  const ask = async (method: string, body?: object) => {
    const headers = { authorization: `Bearer ${adminToken}` }
    const text = body && JSON.stringify(body)
    const answer = await fetch(`${url}/api/webhooks/${id}`, { method, headers, ...(text && { body: text }) })
    expect(answer.ok).toBe(true)
  }
  await ask('PATCH', { is_active: false })
  await psql.query("insert into users values (901, 'Off'), (902, 'Off')")
  await until(async () => (await webhooks('missed', `${id}`)).json().events === 2, { what: 'the count' })
  const early = await webhooks('missed', `${id}`, '--send')
  expect(early.code).toBe(1)
  expect(early.stderr).toContain('active')
  await ask('PATCH', { is_active: true })
  const started = (await webhooks('missed', `${id}`, '--send')).json()
  expect(started).toMatchObject({ missed: true, counted: 2, state: 'running' })
  const again = await webhooks('missed', `${id}`, '--send')
  expect(again.code).toBe(1)
  expect(again.stderr).toContain(`Replay ${started.id}`)
  await until(async () => (await webhooks('replays', `${id}`)).json()[0].state === 'done', {
    what: 'the replay',
  })
  expect((await webhooks('replays', `${id}`)).json()).toMatchObject([
    { id: started.id, looked_at: 2, queued: 2 },
  ])
  const stop = await webhooks('replays', `${id}`, '--stop', `${started.id}`)
  expect(stop.code).toBe(1)
  const unknown = await webhooks('replays', `${id}`, '--stop', `${started.id + 1}`)
  expect(unknown.stderr).toContain(`Fix: walhook webhooks replays ${id} shows the newest`)
  await until(() => receiver.arrivals.some(({ entityId }) => entityId === '902'), {
    what: 'the missed event',
  })
  await ask('DELETE')
})

test('a webhook is created, listed, shown and tested, and its log read, as JSON outside a terminal', async () => {
  const made = await create('Partner')
  expect(made).toMatchObject({ name: 'Partner', triggers: ['user.new', 'user.update', 'user.delete'] })
  expect(made.secret).toMatch(/^whsec_/)
  const { secret: _, ...rest } = made
  expect((await webhooks('list')).json()).toContainEqual(rest)
  expect((await webhooks('show', `${made.id}`)).json()).toMatchObject(rest)
  await psql.query("insert into users values (1, 'Ada')")
  await until(() => receiver.arrivals.some(({ entityId }) => entityId === '1'), { what: 'the event' })
  const tested = await webhooks('test', `${made.id}`)
  expect(tested).toMatchObject({ code: 0, stderr: '' })
  expect(tested.json()).toMatchObject({ outcome: 'delivered', action_type: 'test' })
  const log = (await webhooks('log', `${made.id}`, '--limit', '1')).json()
  expect(log).toMatchObject([{ id: tested.json().id, trigger: 'test' }])
  expect((await webhooks('log', `${made.id}`, log[0].id)).json()).toEqual(log[0])
  accepts = false
  const failed = await webhooks('test', `${made.id}`, '--user', '1')
  accepts = true
  expect(failed).toMatchObject({ code: 1, stderr: expect.stringContaining('the test was not delivered') })
  expect((await webhooks('log', `${made.id}`, '--failed')).json()).toMatchObject([{ outcome: 'refused' }])
})

test('events are resent by id, by failure and by time range', async () => {
  const { id } = await create('Again')
  accepts = false
  await psql.query("insert into users values (2, 'Bob')")
  const of = async () => (await webhooks('log', `${id}`, '--failed')).json()
  await until(async () => (await of()).length > 0, { what: 'a failed request' })
  accepts = true
  const [{ event_id: eventId }] = await of()
  const count = () => receiver.arrivals.filter(({ entityId }) => entityId === '2').length
  const before = count()
  const failed = await webhooks('resend', `${id}`, '--failed', '--from', '1h')
  expect(failed).toMatchObject({ code: 0 })
  expect(failed.json()).toEqual({ queued: 1 })
  await until(() => count() > before, { what: 'what failed' })
  const delivered = async () => (await webhooks('log', `${id}`)).json()[0].outcome === 'delivered'
  await until(delivered, { what: 'what failed, delivered' })
  expect((await webhooks('resend', `${id}`, eventId)).json()).toMatchObject([{ event_id: eventId }])
  await until(() => count() > before + 1, { what: 'the event again' })
  // What is still pending is not queued again.
  const settled = async () =>
    (await psql.query('select from walhook.deliveries where webhook_id = $1', [id])).rowCount === 0
  await until(settled, { what: 'its settlement' })
  const replayed = await webhooks('replay', `${id}`, '--from', '2h', '--trigger', 'user.new')
  expect(replayed.json().queued).toBeGreaterThan(0)
  await until(settled, { what: 'the range' })
  expect((await webhooks('replay', `${id}`, '--event', eventId)).json()).toEqual({ queued: 1 })
  const missing = await webhooks('resend', `${id}`, '12345')
  expect(missing).toMatchObject({ code: 1, stdout: '[]\n', stderr: expect.stringContaining('event 12345: ') })
})

test("a file has the API's fields, and options override it", async () => {
  const folder = await mkdtemp(join(tmpdir(), 'walhook-create-'))
  const file = join(folder, 'webhook.json')
  await writeFile(
    file,
    JSON.stringify({ name: 'File', url: receiver.url, triggers: ['user.new'], mode: 'latest' }),
  )
  const made = await webhooks('create', '--file', file, '--name', 'Option', '--with-traceparent')
  const wanted = { name: 'Option', triggers: ['user.new'], mode: 'latest', traceparent: true }
  expect(made.json()).toMatchObject(wanted)
  await rm(folder, { recursive: true })
})

test.each([
  [[], 'webhooks takes one of list, show, create, test, log, resend, replay, types, schema, missed, replays'],
  [['lst'], 'webhooks has no "lst": did you mean list?'],
  [['show'], 'show: takes the ID of a webhook'],
  [['show', 'x'], 'show: "x" is not the ID of a webhook'],
  [['show', '1', '2'], 'show: unexpected argument "2"'],
  [['log', '1', '--limit', '0'], '--limit "0" is not a number from 1 to 100'],
  [['create', '--name', 'A'], 'create needs --url, --trigger'],
  [['create', '--header', 'Bearer-of-a-secret'], "write it as --header 'Name: value'"],
  [['replay', '1'], 'replay takes one of --from and --event'],
  [['replay', '1', '--from', 'yesterday'], '--from "yesterday" is not a time: write 2h'],
  [['resend', '1'], 'resend takes the id of an EVENT, or --failed with --from'],
  [['resend', '1', '--failed'], 'resend --failed takes --from'],
  [['schema'], 'takes the ID of a webhook, or a trigger'],
  [['list', '--colour'], /^Unknown option '--colour'$/],
  [['create', '--triggers', 'user.new'], /^Unknown option '--triggers': did you mean --trigger\?$/],
  [['create', '--file', 'no-such-file.json'], '--file no-such-file.json: '],
] as const)('webhooks %j is refused with the right usage', async (args, message) => {
  const refusal = command.run([...args], AbortSignal.timeout(1_000)).catch((error: Error) => error)
  const said = typeof message === 'string' ? expect.stringContaining(message) : expect.stringMatching(message)
  expect(await refusal).toMatchObject({ message: said })
  expect(await refusal).not.toMatchObject({ message: expect.stringContaining('Bearer-of-a-secret') })
})

test('events are listed and shown, as the API has them', async () => {
  await create('Listener')
  await psql.query("insert into users values (30, 'Eva')")
  const events = (...args: string[]) => walhook(['events', ...args])
  const found = await until(
    async () => (await events('list', '--entity', 'user', '--id', '30', '--from', '1h')).json()[0],
    { what: 'the event' },
  )
  expect(found).toMatchObject({ entity_type: 'user', entity_id: '30', action_type: 'new' })
  const shown = await events('show', found.id)
  expect(shown).toMatchObject({ code: 0, stderr: '' })
  expect(shown.json()).toMatchObject({
    id: found.id,
    deliveries: expect.arrayContaining([expect.objectContaining({ webhook_name: 'Listener' })]),
  })
  expect((await events('list', '--limit', '1')).json()).toHaveLength(1)
  expect((await events('list', '--state', 'superseded')).json()).toEqual([])
  for (const [args, code, message] of [
    [['list', '--state', 'x'], 1, '--state: '],
    [['list', '--id', '7'], 1, 'entity_type'],
    [['list', '--limit', '0'], 2, '--limit "0" is not a number from 1 to 1000'],
    [['show', 'x'], 2, 'show takes the ID of an event'],
    [['show', '1'], 1, 'Fix: walhook events list shows the newest'],
    [['lst'], 2, 'events has no "lst": did you mean list?'],
  ] as const) {
    const ran = await events(...args)
    expect({ args, code: ran.code, stderr: ran.stderr }).toEqual({
      args,
      code,
      stderr: expect.stringContaining(message),
    })
  }
})

test('the types of events are listed, and the schemas of a trigger and of a webhook printed', async () => {
  const types = (await webhooks('types')).json() as { trigger: string }[]
  expect(types.map(({ trigger }) => trigger)).toContain('company.delete')
  const user = (await webhooks('types', 'user.new')).json()
  expect(user.fields.map(({ name, type }: { name: string; type: string }) => [name, type])).toEqual([
    ['id', 'integer'],
    ['name', 'string'],
  ])
  const ofTrigger = await webhooks('schema', 'user.new')
  expect(compileSchema(ofTrigger.json())(user.example)).toBe(true)
  const { id } = await create('Typed')
  const ofWebhook = compileSchema((await webhooks('schema', `${id}`)).json())
  expect([ofWebhook(user.example), ofWebhook({ ...user.example, entity_type: 'company' })]).toEqual([
    true,
    false,
  ])
  for (const args of [
    ['schema', 'user.gone'],
    ['types', 'user.gone'],
  ]) {
    const { code, stderr } = await webhooks(...args)
    expect(code).toBe(1)
    expect(stderr).toContain('There is no trigger user.gone. Fix: walhook webhooks types shows all triggers')
  }
})

test('missing arguments are reported with the usage', async () => {
  const { code, stdout, stderr } = await webhooks('shw', '1')
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
  expect(stderr).toMatch(/^walhook: webhooks has no "shw": did you mean show\?\n\n {2}walhook webhooks list/)
})

test('a field that the API refuses is reported as its option', async () => {
  const refused = async (name: string, target: string) =>
    (await webhooks('create', '--name', name, '--url', target, '--trigger', 'user.gone')).stderr
  expect(await refused('', receiver.url)).toContain('walhook: --name: must not be empty\n')
  const other = await refused('A', 'ftp://x')
  expect(other).toMatch(/^walhook: --url: (?!url: )/m)
  expect(other).toMatch(/^walhook: --trigger: /m)
  const { id } = await create('Refused')
  expect((await webhooks('test', `${id}`, '--user', 'nobody')).stderr).toMatch(/^walhook: --user: /)
  expect((await webhooks('log', `${id}`, '1')).stderr).toContain(`Fix: walhook webhooks log ${id} shows`)
})

test('a caller with too low a role gets the required one', async () => {
  const headers = { authorization: `Bearer ${adminToken}` }
  const body = JSON.stringify({ name: 'Ada', role: 'operator' })
  const made = await fetch(`${url}/api/tokens`, { method: 'POST', headers, body })
  const { token } = (await made.json()) as { token: string }
  const args = ['webhooks', 'create', '--name', 'A', '--url', receiver.url, '--trigger', 'user.new']
  const { code, stderr } = await walhook(args, { WALHOOK_TOKEN: token })
  expect(code).toBe(1)
  expect(stderr).toContain('the role admin')
  expect(stderr).toContain('walhook token NAME --role ROLE')
})

test('a missing or wrong token is an error with the fix; an unknown variable is reported with the nearest name', async () => {
  const told = async (env: Record<string, string>) => {
    const { code, stderr } = await walhook(['webhooks', 'show', '999'], env)
    expect(code).toBe(1)
    return stderr
  }
  expect(await told({ WALHOOK_TOKEN: '' })).toContain(
    'WALHOOK_TOKEN: not set. Fix: create one with: walhook token',
  )
  expect(await told({ WALHOOK_TOKEN: 'wrong-token' })).toContain(
    'WALHOOK_TOKEN: unknown, expired or revoked. Fix: create one',
  )
  const stderr = await told({ WALHOOK_TOKN: 'x' })
  expect(stderr).toMatch(/WALHOOK_TOKN.*write WALHOOK_TOKEN/)
  expect(stderr).toContain('webhooks list shows all')
})

test.each([
  [{ WALHOOK_TOKEN: 'a b' }, 'WALHOOK_TOKEN', 'contains white space'],
  [{ WALHOOK_URL: 'localhost' }, 'WALHOOK_URL', 'no http or https URL'],
  [{ PORT: 'x' }, 'PORT', '"x"'],
])('%j is refused by name', (env, what, found) => {
  const read = readClientConfig({ WALHOOK_TOKEN: 'token', ...env })
  expect(read).toMatchObject({ ok: false, problems: [{ what, found: expect.stringContaining(found) }] })
})

test.each([
  [{ WALHOOK_URL: 'https://walhook.example.com, http://localhost:8080' }, 'https://walhook.example.com'],
  [{ HOST: '0.0.0.0', PORT: '81' }, 'http://127.0.0.1:81'],
  [{ HOST: '::', PORT: '81' }, 'http://[::1]:81'],
  [{ HOST: 'fd00::1' }, 'http://[fd00::1]:8080'],
  [{}, 'http://127.0.0.1:8080'],
])('with %j, the command calls %s', (env, expected) => {
  const read = readClientConfig({ WALHOOK_ADMIN_TOKEN: adminToken, ...env })
  expect(read).toMatchObject({ ok: true, config: { url: expected, token: adminToken } })
})

test('a foreign server gets the token at most once, and is reported', async () => {
  const asked: (string | undefined)[] = []
  const server = createServer((request, response) => {
    asked.push(request.url)
    if (request.url === '/moved') response.writeHead(302, { location: '/elsewhere' }).end()
    else if (request.url === '/named') response.writeHead(421).end('{"detail":"another host"}')
    else response.end('<html>hello</html>')
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const call = openCall({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, token: 'token' })
  const told = async (path: string) => await call('GET', path)
  expect(await told('/moved')).toMatchObject({
    lines: [expect.stringContaining('redirects to /elsewhere')],
  })
  expect(await told('/other')).toMatchObject({ lines: [expect.stringContaining('but is not walhook')] })
  expect(asked).toEqual(['/moved', '/other'])
  // fetch repeats such a request once, as its specification says.
  expect(await told('/named')).toMatchObject({
    lines: [expect.stringContaining('not available under this name. Fix: set WALHOOK_URL')],
  })
  await new Promise(resolve => server.close(resolve))
  expect(await told('/gone')).toMatchObject({
    lines: [expect.stringMatching(/nothing answers \(.+\)\. Fix: start/)],
  })
})

test('on a terminal there is a table, with colours unless NO_COLOR', async ({ skip }) => {
  needs(skip, 'script', 'util-linux brings it')
  await psql.query("update walhook.webhooks set name = E'Evil \\u001b[31mred' where name = 'Partner'")
  const onTerminal = (env: Record<string, string>, args: string) =>
    spawnSync(
      'script',
      ['-qec', `stty cols 100; ${process.execPath} ${programPath()} webhooks ${args}`, '/dev/null'],
      {
        env: { PATH: process.env.PATH, TERM: 'xterm', WALHOOK_URL: url, WALHOOK_TOKEN: adminToken, ...env },
        encoding: 'utf8',
      },
    ).stdout.replaceAll('\r', '')
  const plain = onTerminal({ NO_COLOR: '1' }, 'list')
  expect(plain).toMatch(/^ID +NAME +STATE +URL +TRIGGERS\n\d+ +Evil �\[31mred +active +http:/)
  for (const line of plain.split('\n')) expect(line.length).toBeLessThanOrEqual(100)
  expect(plain).not.toContain('\u001b')
  expect(onTerminal({}, 'list')).toContain('\u001b[32mactive\u001b[0m')
  expect(onTerminal({ TERM: 'dumb' }, 'list')).not.toContain('\u001b')
  expect(JSON.parse(onTerminal({}, 'list --json'))).toEqual(expect.any(Array))
})
