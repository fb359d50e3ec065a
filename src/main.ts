#!/usr/bin/env node
import packageJson from '../package.json' with { type: 'json' }

// Before anything else is imported: what an older Node.js lacks ends it with the trace of a library.
const oldest = packageJson.engines.node.slice('>='.length)
if (process.versions.node.localeCompare(oldest, 'en', { numeric: true }) < 0) {
  process.stderr.write(
    `walhook: Node.js ${process.versions.node} is too old. Fix: run it with Node.js ${oldest} or newer\n`,
  )
  process.exit(1)
}
const { runCommand } = await import('./commands/run-command.ts')
const { describeError } = await import('./runtime/log.ts')

const status = await runCommand(process.argv.slice(2)).catch(error => {
  process.stderr.write(`walhook: ${describeError(error)}\n`)
  return 1
})
// An explicit exit: without a password, node-postgres keeps the socket open until the server's time-out, up to a minute.
if (status !== 0) process.exit(status)
