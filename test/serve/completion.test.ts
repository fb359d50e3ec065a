import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { needs } from '../support/needs.ts'
import { runWalhook } from '../support/walhook-process.ts'

const folder = mkdtempSync(join(tmpdir(), 'walhook-completion-'))
const shells = ['bash', 'zsh', 'fish']
beforeAll(async () => {
  for (const shell of shells) {
    const { code, stdout } = await runWalhook(null, ['completion', shell])
    expect(code).toBe(0)
    writeFileSync(join(folder, shell), stdout)
  }
})
afterAll(() => rmSync(folder, { recursive: true }))

/** What a shell offers for the last of `words`. */
function complete(...words: string[]): string[] {
  const script = `source ${folder}/bash; COMP_WORDS=(walhook "$@"); COMP_CWORD=$#; _walhook; printf '%s\\n' "\${COMPREPLY[@]}"`
  return spawnSync('bash', ['-c', script, 'bash', ...words], { encoding: 'utf8' })
    .stdout.trim()
    .split('\n')
}

test('the shell completes commands, subcommands and options', () => {
  expect(complete('web')).toEqual(['webhooks'])
  expect(complete('')).toEqual(expect.arrayContaining(['serve', 'check', 'completion', 'help', '--version']))
  expect(complete('webhooks', 're')).toEqual(['resend', 'replay', 'replays'])
  expect(complete('webhooks', 'create', '--tr')).toEqual(['--trigger'])
  expect(complete('webhooks', 'log', '7', '--')).toEqual(['--help', '--json', '--limit', '--failed'])
  expect(complete('webhooks', 'missed', '--')).toEqual(['--help', '--json', '--send'])
  expect(complete('events', 'list', '--e')).toEqual(['--entity'])
  expect(complete('completion', '')).toEqual(['bash', 'zsh', 'fish', '--help'])
  expect(complete('help', 'resy')).toEqual(['resync'])
  expect(complete('resync', '--y')).toEqual(['--yes'])
})

test('fish completes them too', ({ skip }) => {
  needs(skip, 'fish', 'the package fish of Debian brings it')
  const completed = (line: string) => {
    const args = ['--no-config', '-c', 'source $argv[1]; complete -C $argv[2]', join(folder, 'fish'), line]
    return spawnSync('fish', args, { encoding: 'utf8' }).stdout.trim().split('\n').sort()
  }
  expect(completed('walhook web')).toEqual(['webhooks'])
  expect(completed('walhook webhooks re')).toEqual(['replay', 'replays', 'resend'])
  expect(completed('walhook webhooks log 7 --')).toEqual(['--failed', '--help', '--json', '--limit'])
  expect(completed('walhook completion ')).toEqual(['bash', 'fish', 'zsh'])
  expect(completed('walhook help resy')).toEqual(['resync'])
})

test.each(shells)('%s reads its script', shell => {
  const ran = spawnSync(shell, ['-n', join(folder, shell)], { encoding: 'utf8' })
  // Where the shell is not here, nothing can read it.
  if (!ran.error) expect(ran).toMatchObject({ status: 0, stderr: '' })
})

test('another shell is refused', async () => {
  expect(await runWalhook(null, ['completion', 'tcsh'])).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('completion takes one of bash, zsh, fish'),
  })
  expect(await runWalhook(null, ['completion'])).toMatchObject({ code: 2 })
})
