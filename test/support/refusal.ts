import { expect } from 'vitest'
import type { TestDatabase } from './database.ts'
import { runWalhook } from './walhook-process.ts'

/** Runs `serve` to its end and returns what it said, having seen that it said it as it should. */
export async function refusal(
  database: TestDatabase | null,
  env: Record<string, string> = {},
): Promise<string[]> {
  const { code, stdout, stderr } = await runWalhook(database, ['serve'], env)
  expect(code, stderr).toBe(1)
  expect(stdout).toBe('')
  expect(stderr).not.toMatch(/^\s+at /m)
  const lines = stderr.trimEnd().split('\n')
  for (const line of lines) expect(line).toMatch(/^.+: .+\. Fix: .+$/)
  return lines
}
