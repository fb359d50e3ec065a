#!/usr/bin/env node
import { runCommand } from './commands/run-command.ts'
import { describeError } from './runtime/log.ts'

void runCommand(process.argv.slice(2))
  .catch(error => {
    process.stderr.write(`walhook: ${describeError(error)}\n`)
    return 1
  })
  .then(status => {
    // Not left to the event loop: where no password was given, node-postgres keeps the socket open on which the
    // server waits for it, up to a minute.
    if (status !== 0) process.exit(status)
  })
