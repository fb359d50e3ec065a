import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cp, mkdtemp, rm, symlink } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { until } from '../support/wait.ts'

const project = join(import.meta.dirname, '..', '..')
let folder: string

/** A checkout of its own, because the playground keeps its data inside the project. */
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'walhook-start-'))
  for (const part of ['src', 'playground', 'migrations', 'docs/guide/receiving.md', 'package.json'])
    await cp(join(project, part), join(folder, part), { recursive: true })
  await symlink(join(project, 'node_modules'), join(folder, 'node_modules'))
})

afterAll(() => rm(folder, { recursive: true, force: true }))

function start(command = process.execPath, args = ['src/main.ts']) {
  const child = spawn(command, args, {
    cwd: folder,
    // The Node.js of the packages comes first in npm's own PATH; HOME is where npm keeps its logs.
    env: { PATH: process.env.PATH, HOME: folder, PORT: '0' },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  child.stdout.on('data', chunk => {
    output += chunk
  })
  child.stderr.on('data', chunk => {
    output += chunk
  })
  const exited = once(child, 'exit').then(([code]) => code as number | null)
  const printed = (pattern: RegExp, after = 0) =>
    until(
      () => {
        if (child.exitCode !== null) throw new Error(`it has ended, saying: ${output}`)
        return pattern.exec(output.slice(after))
      },
      { what: `npm start to say ${pattern}` },
    )
  return { child, exited, printed, output: () => output }
}

/** What the welcome names: the receiver's page, the API, its token and the database. */
async function places(printed: (pattern: RegExp) => Promise<RegExpExecArray>) {
  const value = async (pattern: RegExp) => (await printed(pattern))[1]!
  return {
    receiver: await value(/See what arrives +(\S+)/),
    api: await value(/API +(\S+)/),
    token: await value(/Token +(\S+)/),
    database: await value(/Database +(\S+)/),
  }
}

const isAnswering = (url: string) =>
  fetch(url).then(
    () => true,
    () => false,
  )

test('npm start shows signed deliveries, Ctrl-C leaves nothing running, and a second start continues with the same data', async () => {
  const first = start()
  const at = await places(first.printed)
  await first.printed(/← {2}(user|company) \d+ (new|update|delete), signature valid/)
  expect(await (await fetch(at.receiver)).text()).toContain('webhook-id')
  expect(await isAnswering(at.api)).toBe(true)

  first.child.kill('SIGINT')
  expect(await first.exited, first.output()).toBe(0)
  expect(await isAnswering(at.receiver)).toBe(false)
  expect(await isAnswering(at.api)).toBe(false)
  await expect(fetch(at.database.replace('postgres', 'http'))).rejects.toThrow()
  expect(first.output()).not.toMatch(/error|warn|^\s+at /im)

  const second = start()
  const again = await places(second.printed)
  expect(again.token).toBe(at.token)
  await second.printed(/← {2}(user|company) \d+ (new|update|delete), signature valid/)
  const list = await fetch(again.api, { headers: { authorization: `Bearer ${again.token}` } })
  expect(((await list.json()) as { data: unknown[] }).data).toHaveLength(1)
  second.child.kill('SIGTERM')
  expect(await second.exited, second.output()).toBe(0)
})

test('a signal to npm, which does not pass it on, stops walhook and its Postgres too', async () => {
  const npm = start('npm', ['start'])
  const at = await places(npm.printed)
  npm.child.kill('SIGTERM')
  await npm.exited
  for (const url of [at.receiver, at.api, at.database.replace('postgres', 'http')])
    await until(async () => !(await isAnswering(url)) && !(await isListening(new URL(url))), {
      what: `${url} to be closed`,
    })
})

test('a signal to npx stops what it has started', async () => {
  const npx = start('npx', ['node', 'src/main.ts', 'listen', '--port', '0'])
  const [, url] = await npx.printed(/^Send webhooks to (\S+)\/ /m)
  npx.child.kill('SIGTERM')
  await npx.exited
  await until(async () => !(await isAnswering(url!)), { what: 'the receiver to be closed' })
})

const isListening = ({ hostname, port }: URL) =>
  new Promise<boolean>(resolve => {
    const socket = connect(Number(port), hostname, () => {
      socket.destroy()
      resolve(true)
    }).on('error', () => resolve(false))
  })
