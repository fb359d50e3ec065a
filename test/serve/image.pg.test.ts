import { execFile } from 'node:child_process'
import { cp, mkdir, mkdtemp, readFile, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { createSampleTables } from '../../playground/sample-app.ts'
import { createTestDatabase } from '../support/database.ts'
import { runWalhook, startWalhook } from '../support/walhook-process.ts'

const root = join(import.meta.dirname, '..', '..')

/** What a stage of the Dockerfile takes from this folder: each path is the same there. */
async function copied(stage: RegExp): Promise<string[]> {
  const dockerfile = await readFile(join(root, 'docker', 'Dockerfile'), 'utf8')
  const lines = dockerfile.split(/^(?=FROM )/m).find(text => stage.test(text))!
  return [...lines.matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap(([, paths]) => paths!.split(' '))
}

const compiled = /^FROM \S+ AS compiled$/m
const last = /^FROM \S+$/m

async function copyAll(paths: readonly string[], folder: string): Promise<void> {
  for (const path of paths) {
    await mkdir(dirname(join(folder, path)), { recursive: true })
    await cp(join(root, path), join(folder, path), { recursive: true })
  }
  await symlink(join(root, 'node_modules'), join(folder, 'node_modules'))
}

test('.dockerignore excludes nothing that the image needs', async () => {
  const ignore = await readFile(join(root, '.dockerignore'), 'utf8')
  const lines = ignore.split('\n').filter(line => line !== '')
  expect(lines[0]).toBe('*')
  for (const path of [...(await copied(compiled)), ...(await copied(last))])
    expect(lines).toContain(`!${path}`)
})

test("walhook starts and shows its pages with the image's files only", async () => {
  const folder = await mkdtemp(join(tmpdir(), 'walhook-image-'))
  try {
    const [sources, image] = [join(folder, 'sources'), join(folder, 'image')]
    await copyAll(await copied(compiled), sources)
    await promisify(execFile)('npm', ['run', 'build'], { cwd: sources })
    await copyAll(await copied(last), image)
    await cp(join(sources, 'dist'), join(image, 'dist'), { recursive: true })
    await rm(sources, { recursive: true })
    const program = join(image, 'dist', 'src', 'main.js')
    const database = await createTestDatabase({ hasOutbox: true })
    await createSampleTables(database.url)
    {
      await using walhook = startWalhook(database, {}, program)
      await walhook.ready()
      const page = await fetch(`${await walhook.url()}/login`)
      expect(await page.text()).toContain('<h1>Log in</h1>')
    }
    await rm(join(image, 'dist', 'docs', 'guide', 'receiving.md'))
    const { code, stderr } = await runWalhook(database, ['serve'], {}, program)
    expect(stderr).toBe(
      "docs/guide/receiving.md: can't be read (ENOENT); the pages show its code. Fix: install walhook with its folder docs, beside src\n",
    )
    expect(code).toBe(1)
    await database.drop()
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
})
