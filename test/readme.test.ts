import { spawn } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { connect as connectSocket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { freePort } from '../playground/local-port.ts'
import { connect } from './support/connect.ts'
import { startOwnServer } from './support/own-server.ts'
import { until } from './support/wait.ts'

const project = join(import.meta.dirname, '..')

/** Blocks that are run by other tests: of `npm start`, of the whole, and of the image. */
const runElsewhere =
  /^(npm ci && npm (start|test)|docker |export WALHOOK_SECRET_KEY=.+ WALHOOK_ADMIN_TOKEN=.+\ndocker )/

type Block = { readonly language: 'sh' | 'sql'; readonly text: string }

/** The blocks of a document that its reader runs, in their order. */
async function blocksOf(document: string): Promise<Block[]> {
  const text = await readFile(join(project, document), 'utf8')
  return [...text.matchAll(/^```(sh|sql)\n(.*?)\n^```/gms)].map(([, language, block]) => ({
    language: language as Block['language'],
    text: block!,
  }))
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

const documents = ['README.md', 'docs/guide/install.md']

test.each(documents)('no code block of %s has a placeholder', async document => {
  const blocks = await blocksOf(document)
  expect(blocks.length).toBeGreaterThan(5)
  expect(blocks.filter(({ text }) => text.includes('…'))).toEqual([])
})

test.each(documents)(
  'the commands of %s run as printed, in order',
  async document => {
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

      // Only the ports are others: those of the document may be taken on this machine.
      const [api, receiver] = [await freePort(), await freePort()]
      const moved = (block: string) =>
        block
          .replaceAll('localhost:5432', `localhost:${place.port}`)
          .replaceAll(':8080', `:${api}`)
          .replaceAll(':9090', `:${receiver}`)
          .replaceAll('src/main.ts listen', `src/main.ts listen --port ${receiver}`)
      const { PATH = '' } = process.env
      await using shell = openShell({ PATH, HOME: dataDir, PORT: String(api) })
      let printed = ''
      for (const { language, text } of await blocksOf(document)) {
        if (runElsewhere.test(text)) continue
        if (language === 'sql') await app.query(text)
        else printed += await shell.run(moved(text))
        if (text.includes('listen &')) await until(() => isListening(receiver), { what: 'the receiver' })
        // It stops in order, however many processes npx has put in between.
        if (text.startsWith('kill'))
          for (const port of [api, receiver])
            await until(async () => !(await isListening(port)), { what: `port ${port} to be closed` })
      }
      if (document !== 'README.md') return
      expect(printed).toContain('"outcome":"delivered"')
      expect(printed).toContain('"secret":"whsec_')
    } finally {
      await server.stop()
      await rm(dataDir, { recursive: true, force: true })
    }
  },
  240_000,
)
