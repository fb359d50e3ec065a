import { spawn } from 'node:child_process'
import type { Account } from './server-account.ts'

export type ProgramResult = { readonly code: number; readonly output: string }

/**
 * Runs a program of PostgreSQL to its end, as `account` (null: our own), in its own session: Ctrl-C does not interrupt it.
 *
 * @throws Error if the program can't be run; a failing program is a result with a code other than 0
 */
export function runProgram(
  program: string,
  args: readonly string[],
  { account, folder }: { account: Account | null; folder: string },
): Promise<ProgramResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      cwd: folder,
      detached: process.platform !== 'win32',
      stdio: ['ignore', 'pipe', 'pipe'],
      ...account,
    })
    let output = ''
    const add = (chunk: string) => {
      output += chunk
    }
    child.stdout.setEncoding('utf8').on('data', add)
    child.stderr.setEncoding('utf8').on('data', add)
    child.on('close', code => resolve({ code: code ?? -1, output }))
    child.on('error', error => reject(new Error(`${program} cannot be run here (${error.message}). ${mend}`)))
  })
}

const mend =
  'Its binaries are made for systems with glibc, macOS or Windows; elsewhere use a PostgreSQL of your own and name it by its URL.'
