#!/usr/bin/env node
import { runCommand } from './commands/run-command.ts'
import { describeError } from './runtime/log.ts'

void runCommand(process.argv.slice(2))
  .catch(error => {
    process.stderr.write(`walhook: ${describeError(error)}\n`)
    return 1
  })
  .then(status => {
    // An explicit exit: without a password, node-postgres keeps the socket open until the server's time-out, up to a minute.
    if (status !== 0) process.exit(status)
  })
