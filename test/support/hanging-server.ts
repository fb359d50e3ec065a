import { readdirSync, readFileSync } from 'node:fs'

/** The processes of a server on this machine, its postmaster first. */
function processesOf(postmaster: number): number[] {
  const children = readdirSync('/proc').filter(name => {
    if (!/^\d+$/.test(name)) return false
    try {
      const stat = readFileSync(`/proc/${name}/stat`, 'utf8')
      return Number(stat.slice(stat.lastIndexOf(')') + 4).split(' ')[0]) === postmaster
    } catch {
      return false // it has ended
    }
  })
  return [postmaster, ...children.map(Number)]
}

/** Stops a server in the middle of everything: no answer and no error, and its host is still there. */
export function hangServer(postmaster: number): { goOn(): void } {
  // Without its postmaster it gets no more processes.
  process.kill(postmaster, 'SIGSTOP')
  const stopped = processesOf(postmaster)
  for (const pid of stopped) signal(pid, 'SIGSTOP')
  return {
    goOn() {
      for (const pid of stopped.toReversed()) signal(pid, 'SIGCONT')
    },
  }
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name)
  } catch {
    // It has ended.
  }
}
