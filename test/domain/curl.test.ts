import { spawnSync } from 'node:child_process'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { curlCommand } from '../../src/domain/shown/curl.ts'

/** What curl is given, and what it reads, as a real shell understands the command. */
function run(command: string): { args: string[]; input: string } {
  const script = `curl() { printf '%s\\0' "$@"; printf '\\1'; if [ "$reads" ]; then cat; fi; }\n${command}`
  const { stdout, stderr, status } = spawnSync('sh', {
    input: command.startsWith('printf') ? `reads=1\n${script}` : script,
    encoding: 'utf8',
    maxBuffer: 8_000_000,
  })
  expect({ stderr, status }).toEqual({ stderr: '', status: 0 })
  const [args, input] = stdout.split('\u0001') as [string, string]
  return { args: args.split('\0').slice(0, -1), input }
}

const text = fc.string({ unit: fc.constantFrom(...`'"\\$\`!@~*?[]{};&|<># \n\táéa1`), maxLength: 20 })

test('a shell passes every request to curl unchanged', () => {
  fc.assert(
    fc.property(text, text, text, (path, value, body) => {
      const url = `https://example.com/${path}`
      const { args } = run(curlCommand({ url, headers: { 'x-a': `${value}.` }, body }))
      expect(args).toEqual(['--globoff', url, '--header', `x-a: ${value}.`, '--data-raw', body])
    }),
    { numRuns: 50 },
  )
})

test('an empty header is kept, and curl computes content-length', () => {
  const { args } = run(
    curlCommand({ url: 'https://a/', headers: { 'x-empty': '', 'content-length': '2' }, body: '{}' }),
  )
  expect(args).toEqual(['--globoff', 'https://a/', '--header', 'x-empty;', '--data-raw', '{}'])
})

test('a body that is too long for an argument is piped completely', () => {
  const body = `["${"it's ".repeat(40_000)}"]`
  const { args, input } = run(curlCommand({ url: 'https://a/', headers: {}, body }))
  expect(args.at(-1)).toBe('@-')
  expect(input).toBe(body)
})
