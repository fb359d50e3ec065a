import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { removeEmbeddedPostgres } from '../../playground/embedded-postgres.ts'
import { runPlayground } from '../../playground/playground.ts'
import { isAlive } from '../../playground/process-alive.ts'
import { connect } from '../support/connect.ts'
import { until } from '../support/wait.ts'

/** How many ports this process listens on. Their numbers say nothing: another program may take one as soon as it is free. */
const listening = () => process.getActiveResourcesInfo().filter(name => name === 'TCPServerWrap').length

test('a stop ends Postgres and the receiver even if walhook hangs', async () => {
  const dataDir = await mkdtemp(join(tmpdir(), 'walhook-playground-'))
  const stop = new AbortController()
  const said: string[] = []
  let pid = 0
  let atWork = 0
  try {
    await runPlayground({
      dataDir,
      open: async ({ databaseUrl }) => ({
        url: 'http://127.0.0.1:1',
        async connect() {
          await using psql = await connect(databaseUrl)
          const { rows } = await psql.query(
            `select split_part(pg_read_file('postmaster.pid'), e'\\n', 1) as pid`,
          )
          pid = Number(rows[0].pid)
          atWork = listening()
          return ''
        },
        run: () => new Promise(() => {}),
      }),
      printLine(line) {
        said.push(line)
        if (line.includes('walhook is running')) setImmediate(() => stop.abort())
      },
      signal: stop.signal,
      stopWithinMs: 50,
    })
    expect(said.join()).toContain('See what arrives')
    expect(pid).toBeGreaterThan(1)
    expect(isAlive(pid)).toBe(false)
    await until(() => listening() < atWork, { what: 'the port of the receiver to be closed' })
    expect(said.at(-1)).toMatch(/did not stop in order/)
  } finally {
    await removeEmbeddedPostgres({ dataDir: join(dataDir, 'postgres') })
    await rm(dataDir, { recursive: true, force: true })
  }
})
