import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'

/** A request as it came, with the moments at which it was complete and was answered. */
export type Arrival = {
  readonly messageId: string
  readonly headers: IncomingHttpHeaders
  readonly body: string
  readonly entityType: string
  readonly entityId: string
  readonly actionType: string
  readonly arrivedAtMs: number
  answeredAtMs: number | null
}

/**
 * A receiver that keeps every request in the order of arrival. `answer` decides the status; a promise answers
 * when it resolves.
 */
export async function startTestReceiver(
  answer: (arrival: Arrival) => number | Promise<number> = () => 204,
): Promise<AsyncDisposable & { readonly url: string; readonly arrivals: readonly Arrival[] }> {
  const arrivals: Arrival[] = []
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    try {
      for await (const chunk of request) chunks.push(chunk)
    } catch {
      return // the sender was killed in the middle: nothing has arrived
    }
    const body = Buffer.concat(chunks).toString('utf8')
    const { entity_type, entity_id, action_type } = JSON.parse(body)
    const arrival: Arrival = {
      messageId: String(request.headers['webhook-id']),
      headers: request.headers,
      body,
      entityType: entity_type,
      entityId: String(entity_id),
      actionType: action_type,
      arrivedAtMs: performance.now(),
      answeredAtMs: null,
    }
    arrivals.push(arrival)
    const status = await answer(arrival)
    arrival.answeredAtMs = performance.now()
    response.writeHead(status).end()
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`,
    arrivals,
    async [Symbol.asyncDispose]() {
      const closed = new Promise(resolve => server.close(resolve))
      server.closeAllConnections()
      await closed
    },
  }
}
