import { spawnSync } from 'node:child_process'

/** Skips a test, and says why, where a program that it runs is not on this machine. `from`: where it can be had. */
export function needs(skip: (reason: string) => never, command: string, from: string): void {
  if (spawnSync(command, ['--help']).error) skip(`${command} is not here: ${from}`)
}
