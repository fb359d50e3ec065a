import { networkInterfaces } from 'node:os'
import { startReceiver } from '../receiver/receiver.ts'
import { type Command, parseOnce, printLine, UsageError, wholeNumber } from './kit/command.ts'

export const listen: Command = {
  usage: `  walhook listen [--port PORT] [--status CODE] [--delay MS] [--secret whsec_…]
                 [--host ADDRESS]     run a receiver for developers, which shows and verifies requests`,
  async run(args, signal) {
    const { values } = parseOnce({
      args,
      options: {
        host: { type: 'string', default: '127.0.0.1' },
        port: { type: 'string', default: '9090' },
        status: { type: 'string', default: '204' },
        delay: { type: 'string', default: '0' },
        secret: { type: 'string', multiple: true, default: [] },
      },
    })
    const port = wholeNumber(values.port)
    const status = wholeNumber(values.status)
    const delayMs = wholeNumber(values.delay)
    if (!(port <= 65535)) throw new UsageError(`--port ${JSON.stringify(values.port)} is not a port`)
    if (!(status >= 200 && status <= 599))
      throw new UsageError(`--status ${JSON.stringify(values.status)} is not from 200 to 599`)
    if (!(delayMs <= 600_000))
      throw new UsageError(`--delay ${JSON.stringify(values.delay)} is not from 0 to 600000 ms`)
    // An unset variable gives an empty secret.
    const secrets = values.secret.filter(secret => secret !== '')
    await receive({ host: values.host, port, status, delayMs, secrets, signal })
    return 0
  },
}

/** Runs a receiver for developers until `signal` is aborted. */
async function receive(options: {
  host: string
  port: number
  status: number
  delayMs: number
  secrets: readonly string[]
  signal: AbortSignal
}): Promise<void> {
  const { signal, secrets, ...rest } = options
  const receiver = await startReceiver({
    ...rest,
    secrets: () => secrets,
    onReceived({ receivedAt, webhookId, signature, answeredStatus, body }) {
      const verdict = signature.state === 'valid' ? 'valid' : `${signature.state} (${signature.reason})`
      printLine(
        `${receivedAt.toISOString()} ${webhookId ?? '(no webhook-id)'} signature ${verdict}, answered ${answeredStatus}\n${body}`,
      )
    },
  })
  printLine(`Send webhooks to ${receiver.url}/ and open it in a browser to see them. Ctrl-C stops.`)
  const elsewhere = addressesFor(options.host).map(address => `http://${address}:${receiver.port}/`)
  if (elsewhere.length > 0) printLine(`From other machines and containers: ${elsewhere.join(', ')}`)
  await untilAborted(signal)
  await receiver.close()
}

/** Where others reach a receiver that listens on every address. */
function addressesFor(host: string): string[] {
  if (host !== '0.0.0.0' && host !== '::') return []
  const all = Object.values(networkInterfaces()).flatMap(some => some ?? [])
  return all.filter(({ internal, family }) => !internal && family === 'IPv4').map(({ address }) => address)
}

function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}
