import { join, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import { openApp } from '../src/app.ts'
import type { Config } from '../src/config/config.ts'
import { controlOfWebhook } from '../src/control/kit/cells.ts'
import { type Control, commandLine } from '../src/control/kit/control.ts'
import { revealSecret } from '../src/control/webhooks/secrets.ts'
import { changeWebhook, createWebhook, listWebhooks } from '../src/control/webhooks/webhooks.ts'
import type { Trigger } from '../src/domain/event/trigger.ts'
import { formatProblem } from '../src/domain/value/problem.ts'
import { parseSealKey } from '../src/domain/webhook/seal.ts'
import { parseTargetList } from '../src/domain/webhook/target-list.ts'
import { openLog } from '../src/runtime/log.ts'
import { runPlayground } from './playground.ts'

/** Runs the playground until `signal` is aborted. It uses host, port and log level of the configuration. */
export async function playground(
  config: Config,
  options: { printLine: (line: string) => void; signal: AbortSignal },
): Promise<void> {
  // The playground prints its own lines: by default the log has warnings only.
  const log = openLog(config.logLevel === 'info' ? 'error' : config.logLevel)
  await runPlayground({
    ...options,
    dataDir: dataDir(fileURLToPath(import.meta.url)),
    async open(settings) {
      const allow = parseTargetList('127.0.0.1')
      const settled: Config = {
        ...config,
        ...settings,
        outboxUrl: settings.databaseUrl,
        sealKey: parseSealKey(settings.secretKey),
        allow: allow.ok ? allow.list : config.allow,
      }
      let opened = await openApp(settled, log)
      // A taken port is replaced by a free one.
      if (
        !opened.ok &&
        opened.problems.some(({ code }) => code === 'port_taken' || code === 'port_forbidden')
      )
        opened = await openApp({ ...settled, port: 0 }, log)
      if (!opened.ok) throw new Error(opened.problems.map(formatProblem).join('\n'))
      const { app } = opened
      return { url: app.url!, run: app.run, connect: webhook => connectReceiver(app.control, webhook) }
    },
  })
}

/** Data lives in the checkout, or for an npm package in the working directory. */
const dataDir = (file: string) =>
  file.split(sep).includes('node_modules')
    ? join(process.cwd(), 'walhook-playground')
    : join(file, '..', '..', 'data', 'playground')

/** Creates the playground's webhook, or updates the existing one's URL. */
async function connectReceiver(
  control: Control,
  wanted: { name: string; url: string; triggers: readonly Trigger[] },
): Promise<string> {
  const first = async () => (await listWebhooks(control, commandLine, { limit: 1, after: 0 })).items[0]
  const there = await first()
  if (!there) {
    const made = await createWebhook(control, commandLine, { ...wanted, isActive: true })
    if (!made.ok) throw new Error(`the playground's webhook could not be made: ${JSON.stringify(made)}`)
  }
  const { id } = there ?? (await first())!
  // Somebody may have moved it to a cell.
  const own = await controlOfWebhook(control, commandLine, id)
  if (!own.ok) throw new Error(`the playground's webhook could not be reached: ${JSON.stringify(own)}`)
  const changed = there ? await changeWebhook(own.value, commandLine, id, { url: wanted.url }) : own
  if (!changed.ok)
    throw new Error(`the playground's webhook could not be changed: ${JSON.stringify(changed)}`)
  const secret = await revealSecret(own.value, commandLine, id)
  if (!secret.ok) throw new Error(`the playground's webhook has no secret`)
  return secret.value
}
