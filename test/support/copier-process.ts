import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createCopier } from '../../src/delivery/cells/copier.ts'
import { openOutbox } from '../../src/outbox/database/database.ts'

type Target = { readonly url: string; readonly schema: string }

/** Starts a process that copies the log of one outbox into a cell, and does nothing else, so that it can be killed very often. */
export function startCopierProcess(main: Target, cell: Target & { readonly name: string }) {
  const { url, schema } = main
  const args = [import.meta.filename, JSON.stringify({ main: { url, schema }, cell })]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'inherit', 'inherit'] })
  const exited = once(child, 'exit')
  return {
    async kill() {
      child.kill('SIGKILL')
      await exited
    },
  }
}

if (process.argv[1] === import.meta.filename) {
  const { main, cell } = JSON.parse(process.argv[2]!)
  const open = ({ url, schema }: Target) => openOutbox({ url, schema, maxConnections: 2, onError() {} })
  const copier = createCopier({ main: open(main), cell: { name: cell.name, outbox: open(cell) } })
  await copier.run(new AbortController().signal)
}
