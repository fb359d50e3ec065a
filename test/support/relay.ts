import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import { createInterface } from 'node:readline'

/** A process on another host (`prefix`) that passes on what reaches `at` to a server elsewhere: the server is then on that host. */
export async function startRelay(
  at: { readonly prefix: readonly string[]; readonly address: string },
  to: { readonly host: string; readonly port: number },
) {
  const args = [import.meta.filename, at.address, to.host, String(to.port)]
  const [command, ...words] = [...at.prefix, process.execPath, ...args]
  const child = spawn(command!, words, { stdio: ['ignore', 'pipe', 'inherit'] })
  const exited = once(child, 'exit')
  const [port] = (await once(createInterface({ input: child.stdout }), 'line')) as [string]
  return {
    port: Number(port),
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL')
      await exited
    },
  }
}

if (process.argv[1] === import.meta.filename) {
  const [, , address, host, port] = process.argv
  const server = createServer(near => {
    const far = connect(Number(port), host)
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      from.on('error', () => to.destroy())
      from.on('close', () => to.destroy())
      from.pipe(to)
    }
  })
  server.listen(0, address, () => process.stdout.write(`${(server.address() as { port: number }).port}\n`))
}
