import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { defaultMapping, type EntityMapping } from '../../src/domain/mapping/mapping.ts'
import { startCapture } from './run-capture.ts'

/**
 * Starts a process that captures from and into one database, and does nothing else: it starts in a fraction of the time
 * that the whole of walhook takes, so it can be killed very often. `streaming` resolves when it captures.
 */
export function startCaptureProcess(
  database: { url: string; name: string },
  mapping: readonly EntityMapping[] = defaultMapping,
) {
  const args = [import.meta.filename, database.url, database.name, JSON.stringify(mapping)]
  const child = spawn(process.execPath, args, {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const exited = once(child, 'exit')
  return {
    streaming: Promise.race([
      once(child.stdout!, 'data'),
      exited.then(() => Promise.reject(new Error('the process that captures has ended'))),
    ]),
    async kill() {
      child.kill('SIGKILL')
      await exited
    },
  }
}

if (process.argv[1] === import.meta.filename) {
  const capture = await startCapture(
    { url: process.argv[2]!, name: process.argv[3]! },
    JSON.parse(process.argv[4]!),
  )
  process.stdout.write('streaming\n')
  await capture.over
}
