import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { removeEmbeddedPostgres } from '../../playground/embedded-postgres.ts'
import { answers } from '../../playground/local-port.ts'
import { runPlayground } from '../../playground/playground.ts'

test('a stop ends the Postgres and the receiver also where walhook does not come to its end', async () => {
  const dataDir = await mkdtemp(join(tmpdir(), 'walhook-playground-'))
  const stop = new AbortController()
  const said: string[] = []
  try {
    await runPlayground({
      dataDir,
      open: async () => ({
        url: 'http://127.0.0.1:1',
        connect: async () => '',
        run: () => new Promise(() => {}),
      }),
      say(line) {
        said.push(line)
        if (line.includes('walhook is running')) setImmediate(() => stop.abort())
      },
      signal: stop.signal,
      stopWithinMs: 50,
    })
    const welcome = said.find(line => line.includes('walhook is running'))!
    const ports = [/See what arrives .*:(\d+)/, /Database .*:(\d+)\//].map(port => port.exec(welcome)![1])
    for (const port of ports) expect(await answers(Number(port)), port).toBe(false)
    expect(said.at(-1)).toMatch(/did not stop in order/)
  } finally {
    await removeEmbeddedPostgres({ dataDir: join(dataDir, 'postgres') })
    await rm(dataDir, { recursive: true, force: true })
  }
})
