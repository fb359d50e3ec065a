import { spawnSync } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { needs } from '../support/needs.ts'

const unit = join(import.meta.dirname, '..', '..', 'ops', 'systemd', 'walhook.service')
const analyze = (...args: string[]) => spawnSync('systemd-analyze', args, { encoding: 'utf8' })

test('systemd-analyze finds no error in the unit, and a low exposure', async ({ skip }) => {
  needs(skip, 'systemd-analyze', 'the package systemd of Debian brings it')
  const folder = await mkdtemp(join(tmpdir(), 'walhook-unit-'))
  const file = join(folder, 'walhook.service')
  const text = await readFile(unit, 'utf8')
  expect(text).toContain('ExecStart=walhook serve\n')
  // Neither the program nor its variables are on this machine.
  await writeFile(
    file,
    text
      .replace('ExecStart=walhook', `ExecStart=${process.execPath}`)
      .replace('EnvironmentFile=', 'EnvironmentFile=-'),
  )
  expect(analyze('verify', file)).toMatchObject({ status: 0, stderr: '' })
  const security = analyze('security', '--offline=true', '--threshold=20', file)
  expect(security.status, security.stdout).toBe(0)
  await rm(folder, { recursive: true })
})
