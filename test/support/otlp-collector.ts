import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

/** A span as it came, with its attributes and those of its resource as plain objects. */
export type CollectedSpan = {
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId?: string
  readonly name: string
  readonly kind: number
  readonly startMs: number
  readonly endMs: number
  readonly attributes: Readonly<Record<string, string | number>>
  readonly isError: boolean
  readonly links: readonly { readonly traceId: string; readonly spanId: string }[]
  readonly resource: Readonly<Record<string, string | number>>
}

type Value = { stringValue?: string; intValue?: string | number; doubleValue?: number }
type Attributes = readonly { key: string; value: Value }[]

const plain = (attributes: Attributes) =>
  Object.fromEntries(
    attributes.map(({ key, value }) => [
      key,
      value.stringValue ?? value.doubleValue ?? Number(value.intValue),
    ]),
  )
const toMs = (nanos: string) => Number(BigInt(nanos) / 1000n) / 1000

/**
 * A collector of OTLP over HTTP in JSON: keeps every span, and the text of every request.
 * https://opentelemetry.io/docs/specs/otlp/#otlphttp
 */
export async function startCollector(answer: () => number | Promise<number> = () => 200) {
  const spans: CollectedSpan[] = []
  const requests: { path: string; authorization: string | undefined; body: string }[] = []
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    try {
      for await (const chunk of request) chunks.push(chunk)
    } catch {
      return // the sender has ended
    }
    const body = Buffer.concat(chunks).toString('utf8')
    requests.push({ path: request.url ?? '', authorization: request.headers.authorization, body })
    const status = await answer()
    response.writeHead(status, { 'content-type': 'application/json' }).end('{}')
    if (status !== 200) return
    for (const { resource, scopeSpans } of JSON.parse(body).resourceSpans)
      for (const scope of scopeSpans)
        for (const span of scope.spans)
          spans.push({
            ...span,
            startMs: toMs(span.startTimeUnixNano),
            endMs: toMs(span.endTimeUnixNano),
            attributes: plain(span.attributes),
            isError: span.status?.code === 2,
            links: span.links ?? [],
            resource: plain(resource.attributes),
          })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    spans: spans as readonly CollectedSpan[],
    requests,
    async [Symbol.asyncDispose]() {
      const closed = new Promise(resolve => server.close(resolve))
      server.closeAllConnections()
      await closed
    },
  }
}
