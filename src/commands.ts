import { randomBytes } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { openApp, problemOfConnecting, unreadableProblem } from './app.ts'
import { type CheckLine, checkLines, worstLevel } from './capture/check.ts'
import { isSlotActive, preflight } from './capture/preflight.ts'
import { describeResync, openGapOf, resync } from './capture/resync.ts'
import { openSource, type Source } from './capture/source.ts'
import type { Config } from './config.ts'
import {
  type BackfillControl,
  type BackfillWish,
  cancelBackfill,
  changeBackfill,
  getBackfill,
  listBackfills,
  startBackfill,
} from './control/backfills.ts'
import { type Control, commandLine } from './control/control.ts'
import type { Failed } from './control/result.ts'
import { rekey, revealSecret } from './control/secrets.ts'
import { createToken, listTokens, revokeToken, type Token } from './control/tokens.ts'
import { changeWebhook, createWebhook, listWebhooks } from './control/webhooks.ts'
import { describeBackfill, isOpen } from './domain/backfill.ts'
import { formatLsn } from './domain/lsn.ts'
import { backfillAs } from './domain/mapping.ts'
import { formatProblem, type Problem } from './domain/problem.ts'
import { parseSealKey } from './domain/seal.ts'
import { parseAllowList } from './domain/target.ts'
import type { Trigger } from './domain/trigger.ts'
import { openOutbox } from './outbox/database.ts'
import { describeMigration, migrate } from './outbox/migrate.ts'
import { runPlayground } from './playground/playground.ts'
import { startReceiver } from './playground/receiver.ts'
import { openLog } from './runtime/log.ts'
import { sleep } from './runtime/sleep.ts'

/** Looks at everything that decides whether a source can be captured; nothing is created or changed. */
export async function checkSource(
  config: Config,
): Promise<{ lines: readonly CheckLine[]; worst: CheckLine['level'] }> {
  await using source = openSource({ url: config.databaseUrl!, onError: () => {} })
  const unreachable = await problemOfConnecting('DATABASE_URL', source.pool)
  if (unreachable) return { lines: [{ level: 'error', ...unreachable }], worst: 'error' }
  const { facts, catalogue } = await preflight(source, config)
  const lines = checkLines(facts, catalogue, { ...config, nowMs: Date.now() })
  return { lines, worst: worstLevel(lines) }
}

/** Brings walhook's own tables up to date, and nothing else. */
export async function migrateOutbox(config: Config) {
  await using outbox = openOutbox({ url: config.outboxUrl!, maxConnections: 2, onError: () => {} })
  const problem = await problemOfConnecting('OUTBOX_DATABASE_URL', outbox.pool)
  return problem ? { ok: false as const, problem } : describeMigration(await migrate(outbox))
}

/** Works with the stored API tokens, in a schema that is brought up to date first. */
async function withTokens<T>(
  config: Config,
  work: (control: Pick<Control, 'outbox' | 'randomBytes'>) => Promise<T>,
): Promise<{ ok: true; value: T } | { ok: false; problem: Problem }> {
  const migrated = await migrateOutbox(config)
  if (!migrated.ok) return migrated
  await using outbox = openOutbox({ url: config.outboxUrl!, maxConnections: 1, onError: () => {} })
  return { ok: true, value: await work({ outbox, randomBytes }) }
}

/** Makes a stored API token; its text is the result. */
export async function makeToken(config: Config, input: Parameters<typeof createToken>[2]) {
  return await withTokens(config, async control => {
    const made = await createToken(control, commandLine, input)
    if (!made.ok) throw new Error(JSON.stringify(made))
    return made.value.text
  })
}

/** The stored API tokens, one line for each, without the tokens themselves. */
export async function describeTokens(config: Config) {
  return await withTokens(config, async control => {
    const lines = [tokenLine('ID', 'ROLE', 'USER', 'LAST USED', 'STATE', 'NAME')]
    for (let after: number | null = 0; after !== null; ) {
      const page = await listTokens(control, { limit: 100, after })
      lines.push(...page.items.map(token => describeToken(token)))
      after = page.next
    }
    return lines
  })
}

function describeToken({ id, name, role, userId, lastUsedAt, expiresAt, revokedAt }: Token): string {
  const minute = (at: Date) => `${at.toISOString().slice(0, 16)}Z`
  const isExpired = expiresAt !== null && expiresAt.getTime() <= Date.now()
  const until = expiresAt ? `${isExpired ? 'expired' : 'until'} ${minute(expiresAt)}` : 'valid'
  const state = revokedAt ? `revoked ${minute(revokedAt)}` : until
  return tokenLine(String(id), role, userId ?? '-', lastUsedAt ? minute(lastUsedAt) : 'never', state, name)
}

function tokenLine(...[id, role, user, used, state, name]: string[]): string {
  return `${id!.padStart(5)}  ${role!.padEnd(8)}  ${user!.padEnd(8)}  ${used!.padEnd(17)}  ${state!.padEnd(25)}  ${name}`
}

/** Revokes a stored API token; says what became of it. */
export async function endToken(config: Config, id: number) {
  return await withTokens(config, control => revokeToken(control, commandLine, id))
}

/** Seals all secrets anew that are not sealed with the present key; says how many there were. */
export async function rekeySecrets(
  config: Config,
): Promise<{ ok: true; value: { webhooks: number; answers: number } } | { ok: false; problem: Problem }> {
  const sealKey = config.sealKey!
  const done = await withTokens(config, control => rekey({ ...control, sealKey }, commandLine))
  if (!done.ok) return done
  if (done.value.ok) return { ok: true, value: done.value }
  return { ok: false, problem: unreadableProblem(done.value.unreadable, sealKey) }
}

/** Says what a resync will do, or does it (`isSure`). */
export async function resyncSource(config: Config, isSure: boolean) {
  await using source = openSource({ url: config.databaseUrl!, onError: () => {} })
  await using outbox = openOutbox({ url: config.outboxUrl!, maxConnections: 2, onError: () => {} })
  const problem =
    (await problemOfConnecting('DATABASE_URL', source.pool)) ??
    (await problemOfConnecting('OUTBOX_DATABASE_URL', outbox.pool))
  if (problem) return { ok: false as const, problems: [problem] }
  const migrated = describeMigration(await migrate(outbox))
  if (!migrated.ok) return { ok: false as const, problems: [migrated.problem] }
  const options = { ...config, nowMs: () => Date.now() }
  const gap = await openGapOf(outbox, config.slotName)
  if (!gap) return { ok: true as const, lines: ['Nothing is lost: there is no gap to mend.'] }
  if (!isSure) return { ok: true as const, lines: await describeResync(source, gap, options) }
  const result = await resync(source, outbox, options)
  if (!result.ok) return result
  return {
    ok: true as const,
    lines: [
      `${result.events} events were made; everything from ${formatLsn(result.fromLsn)} on is captured.`,
    ],
  }
}

/** What `walhook backfill` is asked for. */
export type BackfillOrder =
  | { readonly kind: 'list' }
  | { readonly kind: 'start'; readonly wish: BackfillWish }
  | { readonly kind: 'follow'; readonly id: number; readonly rowsPerSecond: number | undefined }
  | { readonly kind: 'cancel'; readonly id: number }

/**
 * Lists, begins, follows or cancels backfills. One that was begun or is followed is shown until it has ended, or until
 * `signal`: then it goes on by itself. Returns whether all went well, or what is wrong.
 */
export async function backfill(
  config: Config,
  order: BackfillOrder,
  options: { say: (line: string) => void; signal: AbortSignal },
): Promise<{ ok: true; done: boolean } | { ok: false; problems: readonly string[] }> {
  const { say } = options
  const migrated = await migrateOutbox(config)
  if (!migrated.ok) return { ok: false, problems: [formatProblem(migrated.problem)] }
  await using outbox = openOutbox({ url: config.outboxUrl!, maxConnections: 1, onError: () => {} })
  await using source = openSource({ url: config.databaseUrl!, onError: () => {} })
  const entityTypes = config.mapping.map(({ entityType }) => entityType)
  const control = { ...config, outbox, entityTypes, backfillAs: backfillAs(config.mapping) }
  const tell = (id: number) => follow(control, source, id, options)
  switch (order.kind) {
    case 'list': {
      const { items } = await listBackfills(control, { limit: 50, before: null })
      if (items.length === 0) say('There is no backfill.')
      for (const each of items) say(describeBackfill(each, Date.now()))
      return { ok: true, done: true }
    }
    case 'start': {
      const started = await startBackfill(control, commandLine, order.wish)
      return started.ok ? await tell(started.value.id) : { ok: false, problems: failureLines(started) }
    }
    case 'follow': {
      const { id, rowsPerSecond } = order
      const found =
        rowsPerSecond === undefined
          ? await getBackfill(control, id)
          : await changeBackfill(control, commandLine, id, { rowsPerSecond })
      return found.ok ? await tell(id) : { ok: false, problems: failureLines(found) }
    }
    case 'cancel': {
      const cancelled = await cancelBackfill(control, commandLine, order.id)
      if (!cancelled.ok) return { ok: false, problems: failureLines(cancelled) }
      say(describeBackfill(cancelled.value, Date.now()))
      return { ok: true, done: true }
    }
    default:
      return order satisfies never
  }
}

function failureLines(failed: Failed): string[] {
  return failed.kind === 'invalid' ? failed.problems.map(({ detail }) => detail) : [failed.detail]
}

const progressMs = 1_000

/** Says how far a backfill is, whenever that is something new. */
async function follow(
  control: BackfillControl,
  source: Source,
  id: number,
  { say, signal }: { say: (line: string) => void; signal: AbortSignal },
): Promise<{ ok: true; done: boolean } | { ok: false; problems: readonly string[] }> {
  let said = ''
  const tell = (line: string) => {
    if (line !== said) say(line)
    said = line
  }
  while (!signal.aborted) {
    const found = await getBackfill(control, id)
    if (!found.ok) return { ok: false, problems: failureLines(found) }
    const line = describeBackfill(found.value, Date.now())
    if (!isOpen(found.value)) {
      say(line)
      return { ok: true, done: found.value.state === 'done' }
    }
    const isCaptured = await isSlotActive(source, control.slotName)
    tell(
      isCaptured
        ? line
        : `${line}. No walhook captures just now (nobody reads the slot ${control.slotName}): it goes on as soon as one does`,
    )
    await sleep(progressMs, signal)
  }
  say(
    `Backfill ${id} goes on by itself. To see it: walhook backfill --follow ${id}. To end it: --cancel ${id}`,
  )
  return { ok: true, done: true }
}

/** Runs a receiver for developers until `signal` is aborted. */
export async function listen(options: {
  host: string
  port: number
  status: number
  delayMs: number
  secrets: readonly string[]
  say: (line: string) => void
  signal: AbortSignal
}): Promise<void> {
  const { say, signal, secrets, ...rest } = options
  const receiver = await startReceiver({
    ...rest,
    secrets: () => secrets,
    onReceived({ receivedAt, webhookId, signature, answeredStatus, body }) {
      const verdict = signature.state === 'valid' ? 'valid' : `${signature.state} (${signature.reason})`
      say(
        `${receivedAt.toISOString()} ${webhookId ?? '(no webhook-id)'} signature ${verdict}, answered ${answeredStatus}\n${body}`,
      )
    },
  })
  say(`Send webhooks to ${receiver.url}/ and open it in a browser to see them. Ctrl-C stops.`)
  await untilAborted(signal)
  await receiver.close()
}

/** Runs the playground until `signal` is aborted. Of the configuration, host, port and log level count. */
export async function playground(
  config: Config,
  options: { say: (line: string) => void; signal: AbortSignal },
): Promise<void> {
  // Its own lines tell the story: by default the log speaks only of what went wrong.
  const log = openLog(config.logLevel === 'info' ? 'error' : config.logLevel)
  await runPlayground({
    ...options,
    dataDir: fileURLToPath(new URL('../data/playground', import.meta.url)),
    async open(settings) {
      const allow = parseAllowList('127.0.0.1')
      const settled: Config = {
        ...config,
        ...settings,
        outboxUrl: settings.databaseUrl,
        sealKey: parseSealKey(settings.secretKey),
        allow: allow.ok ? allow.allow : config.allow,
      }
      let opened = await openApp(settled, log)
      // Somebody who only wants to look is not sent to find a free port.
      if (!opened.ok && opened.problems.some(({ what }) => what === 'PORT'))
        opened = await openApp({ ...settled, port: 0 }, log)
      if (!opened.ok) throw new Error(opened.problems.map(formatProblem).join('\n'))
      const { app } = opened
      return { url: app.url!, run: app.run, connect: webhook => connectReceiver(app.control, webhook) }
    },
  })
}

/** Makes the playground's webhook, or points the first one to where the receiver listens this time. */
async function connectReceiver(
  control: Control,
  wanted: { name: string; url: string; triggers: readonly Trigger[] },
): Promise<string> {
  const [first] = (await listWebhooks(control, { limit: 1, after: 0 })).items
  const result = first
    ? await changeWebhook(control, commandLine, first.id, { url: wanted.url })
    : await createWebhook(control, commandLine, { ...wanted, isActive: true })
  if (!result.ok) throw new Error(`the playground's webhook could not be made: ${JSON.stringify(result)}`)
  const id = first?.id ?? (await listWebhooks(control, { limit: 1, after: 0 })).items[0]!.id
  const secret = await revealSecret(control, commandLine, id)
  if (!secret.ok) throw new Error(`the playground's webhook has no secret`)
  return secret.value
}

function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}
