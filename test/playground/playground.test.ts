import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { removeEmbeddedPostgres } from '../../playground/embedded-postgres.ts'
import { runPlayground } from '../../playground/playground.ts'
import { isAlive } from '../../playground/process-alive.ts'
import { until } from '../support/wait.ts'

/** How many ports this process listens on. Their numbers say nothing: another program may take one as soon as it is free. */
const listening = () => process.getActiveResourcesInfo().filter(name => name === 'TCPServerWrap').length

test('a stop ends the Postgres and the receiver also where walhook does not come to its end', async () => {
  const dataDir = await mkdtemp(join(tmpdir(), 'walhook-playground-'))
  const stop = new AbortController()
  const said: string[] = []
  const serverPid = async () =>
    Number.parseInt(await readFile(join(dataDir, 'postgres', 'cluster', 'postmaster.pid'), 'utf8'), 10)
  let pid = 0
  let atWork = 0
  try {
    await runPlayground({
      dataDir,
      open: async () => ({
        url: 'http://127.0.0.1:1',
        async connect() {
          pid = await serverPid()
          atWork = listening()
          return ''
        },
        run: () => new Promise(() => {}),
      }),
      say(line) {
        said.push(line)
        if (line.includes('walhook is running')) setImmediate(() => stop.abort())
      },
      signal: stop.signal,
      stopWithinMs: 50,
    })
    expect(said.join()).toContain('See what arrives')
    expect(isAlive(pid)).toBe(false)
    await until(() => listening() < atWork, { what: 'the port of the receiver to be closed' })
    expect(said.at(-1)).toMatch(/did not stop in order/)
  } finally {
    await removeEmbeddedPostgres({ dataDir: join(dataDir, 'postgres') })
    await rm(dataDir, { recursive: true, force: true })
  }
})
