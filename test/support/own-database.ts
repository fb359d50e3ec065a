import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type EmbeddedPostgres, removeEmbeddedPostgres } from '../../playground/embedded-postgres.ts'
import { connect } from './connect.ts'
import { startOwnServer } from './own-server.ts'
import { copyOf, ensureTemplate, urlOf } from './template.ts'

const template = 'own_template'

export type OwnServer = Awaited<ReturnType<typeof openOwnServer>>

/** An embedded server for one test file, which its tests may stop and start, with a database for each test. */
export async function openOwnServer(settings: Readonly<Record<string, string>> = {}) {
  const dataDir = await mkdtemp(join(tmpdir(), 'walhook-own-'))
  let server: EmbeddedPostgres = await startOwnServer(dataDir, settings)
  let databases = 0
  return {
    url: () => server.url,
    dataDir: () => server.dataDir,
    /** Of its postmaster. */
    pid: () => server.pid,
    /** An empty one, or one with the outbox's schema as it is today. */
    async database({ hasOutbox = false } = {}): Promise<{ url: string; name: string }> {
      const name = `own_${++databases}`
      await using admin = await connect(server.url)
      if (hasOutbox) await ensureTemplate(admin, { server: server.url, name: template, options: '' })
      await admin.query(`create database ${name} ${hasOutbox ? copyOf(template, true) : ''}`)
      return { url: urlOf(server.url, name), name }
    },
    stop: (mode?: 'fast' | 'immediate') => server.stop(mode),
    async start() {
      server = await startOwnServer(dataDir, settings)
    },
    async [Symbol.asyncDispose]() {
      await server.stop('immediate')
      await removeEmbeddedPostgres({ dataDir })
    },
  }
}
