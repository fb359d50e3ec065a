import { vi } from 'vitest'
import { runCommand } from '../../src/commands/run-command.ts'

/**
 * Runs a command line in this process, with no variables but those of `env`, and returns what it prints. A process of its own
 * would take a quarter of a second of CPU to load walhook. Not for commands that run until they are stopped.
 */
export async function runHere(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<{ code: number; stdout: string; stderr: string }> {
  const { env: ours } = process
  const listeners = process.stdout.listeners('error')
  const [out, err] = [process.stdout, process.stderr].map(stream =>
    vi.spyOn(stream, 'write').mockReturnValue(true),
  )
  process.env = { PATH: ours.PATH, ...env }
  try {
    const code = await runCommand([...args], () => new AbortController().signal)
    return { code, stdout: out!.mock.calls.join(''), stderr: err!.mock.calls.join('') }
  } finally {
    process.env = ours
    out!.mockRestore()
    err!.mockRestore()
    for (const listener of process.stdout.listeners('error'))
      if (!listeners.includes(listener)) process.stdout.off('error', listener as () => void)
  }
}
