import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { parseSealKey } from '../../src/domain/webhook/seal.ts'
import { createCells } from '../../src/outbox/cells/cells.ts'
import { moveWebhook, type Step } from '../../src/outbox/cells/move.ts'
import { openOutbox } from '../../src/outbox/database/database.ts'
import { secretKey } from './walhook-process.ts'

type Wanted = {
  readonly url: string
  readonly webhookId: number
  readonly to: string
  /** Where it stands still, to be killed. */
  readonly until: Step
}

/** Receivers of tests answer within a second. */
const holdMs = 3_500

/** Moves a webhook in a process of its own, up to a step: it is reached when this resolves, and the process is killed then. */
export async function killedMove(wanted: Wanted): Promise<void> {
  const child = spawn(process.execPath, [import.meta.filename, JSON.stringify(wanted)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const exited = once(child, 'exit')
  const reached = Promise.withResolvers<void>()
  createInterface({ input: child.stdout! }).on('line', line => {
    if (line === wanted.until) reached.resolve()
  })
  await Promise.race([reached.promise, exited.then(() => Promise.reject(new Error('the mover has ended')))])
  child.kill('SIGKILL')
  await exited
}

/** Moves a webhook, whole. */
export async function moveNow(
  { url, webhookId, to }: Omit<Wanted, 'until'>,
  onStep: (step: Step) => void | Promise<void> = () => {},
) {
  const own: ReturnType<typeof openOutbox>[] = []
  const open = (target: { url: string; schema?: string }) => {
    own.push(openOutbox({ ...target, maxConnections: 6, onError() {} }))
    return own.at(-1)!
  }
  const cells = createCells({
    main: open({ url }),
    sealKey: parseSealKey(secretKey)!,
    open: ({ url, schema }) => open({ url, schema }),
  })
  try {
    return await moveWebhook(cells, { webhookId, to: await cells.named(to), holdMs, onStep })
  } finally {
    for (const outbox of own) await outbox[Symbol.asyncDispose]()
  }
}

if (process.argv[1] === import.meta.filename) {
  const { until, ...wanted }: Wanted = JSON.parse(process.argv[2]!)
  await moveNow(wanted, async step => {
    process.stdout.write(`${step}\n`)
    if (step === until) await new Promise(() => setInterval(() => {}, 1_000))
  })
}
