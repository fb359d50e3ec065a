import { randomBytes } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { constants } from 'node:os'
import { join } from 'node:path'
import { Client } from 'pg'
import type { TestProject } from 'vitest/node'
import { databasePrefix, templateName } from './database-name.ts'
import { memoryFolder } from './memory-folder.ts'
import { startTestServer, type TestServer } from './postgres-server.ts'
import { bundleProgram, compileCache } from './program.ts'

declare module 'vitest' {
  interface ProvidedContext {
    /** The server of this run, and the letters that mark its databases; null if no selected file needs one. */
    postgres: { url: string; description: string; runId: string } | null
  }
}

/** From here on, a run starts so many processes that making a bundle pays. */
const manyFiles = 20

/**
 * Gives the run a folder in memory for its temporary files, unless TMPDIR names one; starts one Postgres for all test files
 * of the run, if any of them needs it. Both go at the end. In a run of many files, processes of walhook start from one file.
 */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const memory = process.env.TMPDIR ? null : await memoryFolder()
  // The workers inherit it, and so do the programs that they start.
  if (memory !== null) process.env.TMPDIR = memory
  process.env.NODE_COMPILE_CACHE = compileCache
  if (project.vitest.state.getPaths().length >= manyFiles)
    process.env.WALHOOK_TEST_PROGRAM = await bundleProgram()
  const stop = await startPostgres(project, memory ?? join(project.config.root, 'data'))
  return async () => {
    const keepsData = await stop()
    if (memory !== null && !keepsData) await rm(memory, { recursive: true, force: true })
  }
}

/** What it returns stops the server, and tells whether its data stay. */
async function startPostgres(project: TestProject, dataRoot: string): Promise<() => Promise<boolean>> {
  const needsPostgres = project.vitest.state.getPaths().some(path => /\.(pg|browser)\.test\.ts$/.test(path))
  if (!needsPostgres && !project.config.watch) {
    project.provide('postgres', null)
    return async () => false
  }
  const server = await startTestServer(process.env, dataRoot)
  // A signal ends the run without teardown: nothing may stay behind then either.
  const exitOn = (signal: 'SIGINT' | 'SIGTERM' | 'SIGHUP') => process.exit(128 + constants.signals[signal])
  process.once('SIGINT', exitOn).once('SIGTERM', exitOn).once('SIGHUP', exitOn).once('exit', server.abandon)
  const runId = randomBytes(2).toString('hex')
  project.provide('postgres', { url: server.url, description: server.description, runId })
  return async () => {
    process.off('exit', server.abandon)
    const left = await leftBehind(server.url, runId)
    if (left.length > 0)
      process.stdout.write(`\nLeft behind by failed tests: ${left.join(', ')}\n${where(server)}\n`)
    await server.stop(left.length > 0)
    return left.length > 0
  }
}

/** Drops the template, and returns the databases that are there still. */
async function leftBehind(url: string, runId: string): Promise<string[]> {
  const client = new Client({ connectionString: url })
  await client.connect()
  try {
    for (const name of [templateName(runId), `${templateName(runId)}_new`])
      await client.query(`drop database if exists ${name}`)
    const { rows } = await client.query('select datname from pg_database where starts_with(datname, $1)', [
      databasePrefix(runId),
    ])
    return rows.map(row => row.datname)
  } finally {
    await client.end()
  }
}

function where({ keeps }: TestServer): string {
  if (keeps === 'on the server') return '(on the server of TEST_DATABASE_URL; drop them when you have looked)'
  if (keeps === 'nowhere') return '(gone with the container; set TEST_DATABASE_URL to keep them)'
  return `(kept until the next run; to look at them: npx node test/support/reopen.ts ${keeps.dataDir})`
}
