import { vi } from 'vitest'
import { runCommand } from '../../src/commands/run-command.ts'

/** Reads a command line in this process, and returns what it prints. Not for commands that begin: they take signals for themselves. */
export async function runHere(
  args: readonly string[],
): Promise<{ code: number; stdout: string; stderr: string }> {
  const [out, err] = [process.stdout, process.stderr].map(stream =>
    vi.spyOn(stream, 'write').mockReturnValue(true),
  )
  try {
    const code = await runCommand([...args])
    return { code, stdout: out!.mock.calls.join(''), stderr: err!.mock.calls.join('') }
  } finally {
    out!.mockRestore()
    err!.mockRestore()
  }
}
