import { spawn } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { connect as connectSocket, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { connect } from './support/connect.ts'
import { startOwnServer } from './support/own-server.ts'
import { until } from './support/wait.ts'

const project = join(import.meta.dirname, '..')
const readme = await readFile(join(project, 'README.md'), 'utf8')

/** Blocks that are run by other tests: of `npm start`, of the whole, and of the image. */
const runElsewhere =
  /^(npm ci && npm (start|test)|docker |export WALHOOK_SECRET_KEY=.+ WALHOOK_ADMIN_TOKEN=.+\ndocker )/

/** The indented blocks, in their order. */
const blocks = readme
  .replaceAll(/^```.*?^```/gms, '')
  .split(/\n(?! {4}|\n|$)/)
  .flatMap(part => [...`${part}\n`.matchAll(/(?:^ {4,}\S.*\n|^\n(?= {4,}\S))+/gm)])
  .map(([text]) => text.replaceAll(/^ {4,6}(?! {4})/gm, '').trim())
  .filter(text => text !== '' && !/^(!\[|\|)/.test(text))

const isSql = (block: string) =>
  /^(--|select|create|grant|alter|drop)\b/.test(block) || block.startsWith('--')

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  await new Promise(resolve => server.close(resolve))
  return port
}

const isListening = (port: number) =>
  new Promise<boolean>(resolve => {
    const socket = connectSocket(port, '127.0.0.1', () => {
      socket.destroy()
      resolve(true)
    }).on('error', () => resolve(false))
  })

/** A shell in which one block runs after the other, as in a terminal. */
function openShell(env: Record<string, string>) {
  const bash = spawn('bash', [], { cwd: project, env, stdio: ['pipe', 'pipe', 'pipe'] })
  let output = ''
  for (const stream of [bash.stdout, bash.stderr])
    stream.on('data', data => {
      output += data
    })
  let ran = 0
  return {
    output: () => output,
    /** What a block prints, itself and what runs in the background meanwhile. */
    async run(block: string): Promise<string> {
      const from = output.length
      const mark = `__block ${ran++} ended with`
      bash.stdin.write(`${block}\necho "${mark} $?"\n`)
      const ended = await until(() => new RegExp(`${mark} (\\d+)`).exec(output), {
        what: `the end of ${JSON.stringify(block)}, after ${JSON.stringify(output.slice(-2_000))}`,
        timeoutMs: 120_000,
      })
      expect(ended[1], output.slice(from)).toBe('0')
      return output.slice(from, ended.index)
    },
    async [Symbol.asyncDispose]() {
      // What a failed test has left runs in jobs of this shell.
      bash.stdin.end('kill $(jobs -p) 2>/dev/null; wait\n')
      await new Promise(resolve => bash.once('close', resolve))
    },
  }
}

test('no block has a place to fill in: each runs as it is printed', () => {
  expect(blocks.length).toBeGreaterThan(8)
  expect(blocks.filter(block => block.includes('…'))).toEqual([])
})

test('the commands of the README run as they are printed, one after the other', async () => {
  const dataDir = await mkdtemp(join(tmpdir(), 'walhook-readme-'))
  const server = await startOwnServer(dataDir)
  try {
    const place = new URL(server.url)
    {
      await using admin = await connect(server.url)
      await admin.query('create database app')
    }
    place.pathname = '/app'
    await using app = await connect(place.href)
    await app.query(`
      create table users (id integer primary key, name text); create table companies (id integer primary key);
      insert into users values (1, 'Ada')`)

    // Only the ports are others: those of the README may be taken on this machine.
    const [api, receiver] = [await freePort(), await freePort()]
    const moved = (block: string) =>
      block
        .replaceAll('localhost:5432', `localhost:${place.port}`)
        .replaceAll(':8080', `:${api}`)
        .replaceAll(':9090', `:${receiver}`)
        .replaceAll('src/main.ts listen', `src/main.ts listen --port ${receiver}`)
    const { PATH = '' } = process.env
    await using shell = openShell({ PATH, HOME: dataDir, PORT: String(api) })
    const printed = new Map<string, string>()
    for (const block of blocks) {
      if (runElsewhere.test(block)) continue
      if (isSql(block)) await app.query(block)
      else printed.set(block, await shell.run(moved(block)))
      if (block.includes('listen &')) await until(() => isListening(receiver), { what: 'the receiver' })
      // It stops in order, however many processes npx has put in between.
      if (block.startsWith('kill'))
        for (const port of [api, receiver])
          await until(async () => !(await isListening(port)), { what: `port ${port} to be closed` })
    }
    const of = (text: string) => [...printed].find(([block]) => block.includes(text))![1]
    expect(of('/api/webhooks/1/test')).toContain('"outcome":"delivered"')
    expect(of('"name": "CRM"')).toContain('"secret":"whsec_')
  } finally {
    await server.stop()
    await rm(dataDir, { recursive: true, force: true })
  }
}, 240_000)
