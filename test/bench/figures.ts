import { readdirSync, readFileSync } from 'node:fs'

/** The value in the middle; of an even number of values, the upper one. */
export function median(values: readonly number[]): number {
  return quantile(values, 0.5)
}

/** The value below which the share `q` (0 to 1) of the values lies. */
export function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? Number.NaN
}

/** Milliseconds on a clock that all processes of the machine share and nobody sets, as the time of day may be between two starts. */
export const sharedClockMs = () => Number(process.hrtime.bigint()) / 1e6

export const perSecond = (count: number, ms: number) => Math.round(count / (ms / 1000))

/** `12,300/s` */
export const rateText = (rate: number) => `${Math.round(rate).toLocaleString('en')}/s`

export const msText = (ms: number) => `${ms < 10 ? ms.toFixed(1) : Math.round(ms).toLocaleString('en')} ms`

/** A table in Markdown, its first column to the left and the others to the right. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`
  return [line(head), line(head.map((_, i) => (i === 0 ? '---' : '---:'))), ...rows.map(line)].join('\n')
}

const ticksPerSecond = 100

type Stat = { readonly pid: number; readonly parent: number; readonly ticks: number; readonly reaped: number }

/** https://www.kernel.org/doc/html/latest/filesystems/proc.html (fields of /proc/PID/stat) */
function readStat(pid: number): Stat | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
    const number = (field: number) => Number(fields[field - 3])
    return { pid, parent: number(4), ticks: number(14) + number(15), reaped: number(16) + number(17) }
  } catch {
    return null // it has ended
  }
}

/** CPU seconds that a process has used, with all its children, also those that have ended. Linux only: else NaN. */
export function cpuSeconds(pid: number): number {
  const own = readStat(pid)
  if (!own) return Number.NaN
  const children = readdirSync('/proc')
    .filter(name => /^\d+$/.test(name))
    .map(name => readStat(Number(name)))
    .filter(stat => stat?.parent === pid)
  const ticks = children.reduce((sum, child) => sum + child!.ticks + child!.reaped, own.ticks + own.reaped)
  return ticks / ticksPerSecond
}

/** Resident memory of a process in MB: now, and at its highest so far. */
export function memoryMb(pid: number): { now: number; highest: number } {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8')
    const read = (field: string) => Number(new RegExp(`${field}:\\s+(\\d+) kB`).exec(status)?.[1]) / 1024
    return { now: read('VmRSS'), highest: read('VmHWM') }
  } catch {
    return { now: Number.NaN, highest: Number.NaN }
  }
}

/** Starts to watch the machine, and returns the share (0 to 1) of all its cores that was busy since. Linux only: else NaN. */
export function watchMachine(): () => number {
  const before = machineTicks()
  return () => {
    const after = machineTicks()
    return (after.busy - before.busy) / (after.all - before.all)
  }
}

/** https://www.kernel.org/doc/html/latest/filesystems/proc.html#miscellaneous-kernel-statistics-in-proc-stat */
function machineTicks(): { busy: number; all: number } {
  try {
    const fields = readFileSync('/proc/stat', 'utf8').split('\n')[0]!.split(/\s+/).slice(1, 9).map(Number)
    const all = fields.reduce((sum, ticks) => sum + ticks, 0)
    const [, , , idle, waitingForDisk] = fields
    return { all, busy: all - idle! - waitingForDisk! }
  } catch {
    return { all: Number.NaN, busy: Number.NaN }
  }
}
