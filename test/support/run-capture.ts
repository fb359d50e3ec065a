import { randomUUID } from 'node:crypto'
import { createCapture } from '../../src/capture/capture.ts'
import type { CaptureOptions } from '../../src/capture/capturing.ts'
import type { CaptureState } from '../../src/capture/continuity/state.ts'
import { newLink } from '../../src/capture/link.ts'
import { withKnownColumns } from '../../src/capture/source/columns.ts'
import { openSource } from '../../src/capture/source/source.ts'
import type { AppendedEvents } from '../../src/capture/store/storing.ts'
import { probePrefix } from '../../src/capture/stream/decode.ts'
import { defaultMapping, type EntityMapping } from '../../src/domain/mapping/mapping.ts'
import { type Outbox, openOutbox } from '../../src/outbox/database/database.ts'
import { migrate } from '../../src/outbox/database/migrate.ts'
import { ensurePartitions } from '../../src/outbox/days/partitions.ts'
import { type Log, silentLog } from '../../src/runtime/log.ts'
import { until } from './wait.ts'

/** A capture in this process, from and into one database where no other outbox is given. Disposing it stops it in order. */
export type RunningCapture = AsyncDisposable & {
  state(): CaptureState
  /** Waits until everything that has committed by now is stored. */
  caughtUp(): Promise<void>
  /** Events as `user 7 update {"id":7,…}`, in their order; behind `delete` is what `last` tells. */
  events(): Promise<string[]>
  /** Commits of the outbox that stored something. */
  commits(): number
  readonly truncated: readonly string[]
  /** What each commit has handed on to whoever delivers. */
  readonly appended: readonly AppendedEvents[]
  /** Rejects with what ended it. */
  readonly over: Promise<void>
}

export async function startCapture(
  database: { url: string; name: string },
  wanted: readonly EntityMapping[] = defaultMapping,
  outboxUrl = database.url,
  log: Log = silentLog,
  link = newLink(),
): Promise<RunningCapture> {
  const source = openSource({ url: database.url, onError() {} })
  const outbox = openOutbox({ url: outboxUrl, maxConnections: 4, onError() {} })
  if (!(await hasOutbox(outbox))) await migrate(outbox)
  await ensurePartitions(outbox, Date.now())
  const stop = new AbortController()
  const truncated: string[] = []
  const appended: AppendedEvents[] = []
  let commits = 0
  const slotName = database.name.slice(0, 63)
  const mapping = await withKnownColumns(source, outbox, { slotName, mapping: wanted })
  const options = {
    source,
    outbox,
    slotName,
    publicationName: 'walhook',
    mapping,
    nowMs: () => Date.now(),
    log,
    pagePace: { pollMs: 50, retryMs: 100 },
    onAppended: events => appended.push(events),
    onStored(stored) {
      commits++
      truncated.push(...stored.truncated)
    },
  } satisfies CaptureOptions
  const capture = createCapture(options, link)
  const over = capture.run(stop.signal)
  over.catch(() => {})
  const isOver = over.then(
    () => Promise.reject(new Error('capture has ended')),
    error => Promise.reject(error),
  )
  await Promise.race([
    isOver,
    until(() => ['streaming', 'standing by', 'gap'].includes(capture.state().state), {
      what: 'capture to have started',
    }),
  ])

  return {
    state: capture.state,
    async caughtUp() {
      const sent = new Set<string>()
      // Of several probes in one batch only the last is seen, which may be one of capture's own: then another is sent.
      const isThere = async () => {
        if (sent.has(capture.lastProbe() ?? '')) return true
        const id = randomUUID()
        await source.pool.query('select pg_logical_emit_message(false, $1, $2)', [probePrefix, id])
        sent.add(id)
        return await until(() => sent.has(capture.lastProbe() ?? ''), {
          what: 'the probe',
          timeoutMs: 5_000,
        }).catch(() => false)
      }
      await Promise.race([isOver, until(isThere, { what: 'capture to have caught up', timeoutMs: 90_000 })])
    },
    async events() {
      const { rows } = await outbox.pool.query('select body from walhook.events order by id')
      return rows.map(({ body }) => {
        const [, id, type, action, , result] =
          /^\{"entity_id":(.*?),"entity_type":"(.*?)","action_type":"(.*?)"(,"(?:result|last)":(.*))?\}$/s.exec(
            body,
          )!
        return [type, id, action, result].filter(part => part !== undefined).join(' ')
      })
    },
    commits: () => commits,
    truncated,
    appended,
    over,
    async [Symbol.asyncDispose]() {
      stop.abort()
      await over.catch(() => {})
      await outbox[Symbol.asyncDispose]()
      await source[Symbol.asyncDispose]()
    },
  }
}

async function hasOutbox({ pool }: Outbox): Promise<boolean> {
  const { rows } = await pool.query(`select to_regclass('walhook.positions') is not null as is_there`)
  return rows[0].is_there
}
