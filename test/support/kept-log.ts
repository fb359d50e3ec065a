import type { Log } from '../../src/runtime/log.ts'

/** A log that keeps its lines, by name. */
export function keptLog() {
  const lines: object[] = []
  const keep = (level: string) => (name: string, facts?: object) => void lines.push({ level, name, ...facts })
  const log: Log = { debug: keep('debug'), info: keep('info'), warn: keep('warn'), error: keep('error') }
  return { log, of: (name: string) => lines.filter(line => 'name' in line && line.name === name) }
}
