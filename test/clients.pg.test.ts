import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { verify } from '../src/receiver/verify.ts'
import { connect } from './support/connect.ts'
import { createTestDatabase, type TestDatabase } from './support/database.ts'
import { startTestReceiver } from './support/test-receiver.ts'
import { adminToken, startWalhook, type WalhookProcess } from './support/walhook-process.ts'

const run = promisify(execFile)
const project = join(import.meta.dirname, '..')

/** What docs/guide/clients.md shows under a heading: how a client is made, and a program that uses it. */
async function shownUnder(heading: string, language: string) {
  const guide = await readFile(join(project, 'docs', 'guide', 'clients.md'), 'utf8')
  const section = guide.split(/^## /m).find(text => text.startsWith(`${heading}\n`))!
  const block = (name: string) => new RegExp(`^\`\`\`${name}\n(.*?)^\`\`\`$`, 'ms').exec(section)![1]!
  return { make: block('sh'), program: block(language) }
}

let folder: string
let database: TestDatabase
let walhook: WalhookProcess
let receiver: Awaited<ReturnType<typeof startTestReceiver>>
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'walhook-clients-'))
  database = await createTestDatabase({ hasOutbox: true })
  await using psql = await connect(database.url)
  await psql.query(
    'create table users (id integer primary key); create table companies (id integer primary key); insert into users values (1)',
  )
  receiver = await startTestReceiver()
  walhook = startWalhook(database)
  await walhook.ready()
  // One before the example's: the list has a second page.
  await walhook.api('POST', '/api/webhooks', { name: 'First', url: receiver.url, triggers: ['user.new'] })
}, 60_000)
afterAll(async () => {
  await walhook[Symbol.asyncDispose]()
  await receiver[Symbol.asyncDispose]()
  await database[Symbol.asyncDispose]()
  await rm(folder, { recursive: true, force: true })
})

const unreachable =
  /E(NOTFOUND|CONNREFUSED|CONNRESET|TIMEDOUT|AI_AGAIN)|NewConnectionError|ConnectTimeoutError/

/** Runs a block of shell. Where its registry is out of reach, the test is skipped, and says so. */
async function shell(block: string, skip: (reason: string) => never): Promise<void> {
  const env = {
    ...process.env,
    ...(await access()),
    npm_config_fetch_retries: '1',
    npm_config_prefer_offline: 'true',
    PIP_RETRIES: '1',
    PIP_DISABLE_PIP_VERSION_CHECK: '1',
  }
  await run('bash', ['-euc', block], { cwd: folder, env }).catch(({ stdout, stderr, message }) => {
    if (unreachable.test(`${stdout}${stderr}`)) skip('the registry with the generator can’t be reached')
    throw new Error(`${message}\n${stdout}`)
  })
}

const access = async () => ({ WALHOOK_URL: await walhook.url(), WALHOOK_TOKEN: adminToken })

/** The program does everything that it shows, and the receiver got its test, signed with the secret that it printed. */
async function usesTheApi(command: string, args: readonly string[]): Promise<void> {
  const came = receiver.arrivals.length
  const { stdout } = await run(command, args, { cwd: folder, env: { ...process.env, ...(await access()) } })
  const secret = /created: Example (whsec_\S+)/.exec(stdout)?.[1]
  expect(stdout.replace(secret!, 'SECRET').trimEnd().split('\n')).toEqual([
    'wrong field: /triggers/0',
    'created: Example SECRET',
    'listed: First',
    'listed: Example',
    'test: delivered 204',
    'logged: test delivered',
    'deleted: 204',
  ])
  const [arrival, ...more] = receiver.arrivals.slice(came)
  expect(more).toEqual([])
  const header = (name: string) => String(arrival!.headers[name])
  const request = {
    id: header('webhook-id'),
    timestamp: header('webhook-timestamp'),
    signature: header('webhook-signature'),
    body: arrival!.body,
  }
  expect(verify(request, [secret!], Date.now() / 1000)).toEqual({ state: 'valid' })
  expect(await walhook.api('GET', '/api/webhooks')).toMatchObject({ data: [{ name: 'First' }] })
}

const moved = (program: string) => program.replaceAll('http://127.0.0.1:9090/', receiver.url)

test('a TypeScript client by openapi-typescript compiles strictly, and uses a real server', async ({
  skip,
}) => {
  const { make, program } = await shownUnder('TypeScript', 'ts')
  await writeFile(join(folder, 'package.json'), '{"type": "module", "private": true}')
  await shell(make, skip)
  await writeFile(join(folder, 'example.ts'), moved(program))
  const strict = ['--strict', '--exactOptionalPropertyTypes', '--noUncheckedIndexedAccess']
  const modules = ['--module', 'nodenext', '--target', 'es2024', '--allowImportingTsExtensions', '--noEmit']
  const types = ['--typeRoots', join(project, 'node_modules', '@types'), '--types', 'node']
  const tsc = join(project, 'node_modules', 'typescript', 'bin', 'tsc')
  const checked = await run(process.execPath, [tsc, ...strict, ...modules, ...types, 'example.ts'], {
    cwd: folder,
  }).catch(error => error)
  expect(checked.stdout).toBe('')
  await usesTheApi(process.execPath, ['example.ts'])
}, 300_000)

test('a Python client by openapi-python-client has every call, and uses a real server', async ({ skip }) => {
  const { make, program } = await shownUnder('Python', 'python')
  const venv = await run('python3', ['-c', 'import venv, ensurepip']).catch(() => null)
  if (venv === null) skip('there is no Python with venv here')
  await shell(make.replace('--url', '--fail-on-warning --url'), skip)
  await writeFile(join(folder, 'example.py'), moved(program))
  await usesTheApi(join(folder, '.venv', 'bin', 'python'), ['example.py'])
}, 300_000)
