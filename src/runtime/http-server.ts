import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createAdaptorServer } from '@hono/node-server'

/** A listening server; disposing it lets answers that are under way come, for a while, and ends every connection. */
export type HttpServer = { readonly url: string; [Symbol.asyncDispose](): Promise<void> }

const drainMs = 3_000

export type Listening =
  | { readonly ok: true; readonly server: HttpServer }
  | { readonly ok: false; readonly problem: { what: string; found: string; mend: string } }

/** Listens on `host` and `port` (0: any free one) and answers with `fetch`. A taken port is a problem, not a throw. */
export async function listenHttp(
  fetch: (request: Request) => Response | Promise<Response>,
  options: { host: string; port: number },
): Promise<Listening> {
  const { host, port } = options
  const server = createAdaptorServer({ fetch }) as Server
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(port, host, resolve)
    })
  } catch (error) {
    return { ok: false, problem: problemOf(error as NodeJS.ErrnoException, host, port) }
  }
  const { address, family, port: bound } = server.address() as AddressInfo
  return {
    ok: true,
    server: {
      url: `http://${family === 'IPv6' ? `[${address}]` : address}:${bound}`,
      async [Symbol.asyncDispose]() {
        const closed = new Promise<void>(resolve => {
          server.close(() => resolve())
        })
        // A connection that is kept alive becomes idle again once its last answer is out.
        const idle = setInterval(() => server.closeIdleConnections(), 20)
        const cut = setTimeout(() => server.closeAllConnections(), drainMs)
        await closed
        clearInterval(idle)
        clearTimeout(cut)
      },
    },
  }
}

function problemOf(error: NodeJS.ErrnoException, host: string, port: number) {
  if (error.code === 'EADDRINUSE')
    return {
      what: 'PORT',
      found: `${port} on ${host} is taken by another program`,
      mend: 'set PORT to a free port, or to 0 for any',
    }
  if (error.code === 'EACCES')
    return { what: 'PORT', found: `${port} may not be opened by this user`, mend: 'set PORT to 1024 or more' }
  return { what: 'HOST', found: `${host}: ${error.message}`, mend: 'set HOST to an address of this machine' }
}
