import { chooseFields, type EntityMapping, tableKey } from '../domain/mapping.ts'
import { formatProblem, type Problem } from '../domain/problem.ts'
import type { Outbox } from '../outbox/database.ts'
import { readPosition } from '../outbox/position.ts'
import { describeError, type Log } from '../runtime/log.ts'
import type { Service } from '../runtime/service.ts'
import { sleep } from '../runtime/sleep.ts'
import { type Catalogue, readCatalogue } from './catalogue.ts'
import { consume, type Stored } from './consume.ts'
import { createInbox, type Inbox } from './inbox.ts'
import { createMapper } from './map.ts'
import { setUp } from './setup.ts'
import type { Source } from './source.ts'
import { openStream, type Stream } from './stream.ts'

/**
 * What capture is doing.
 *
 *   starting     making or checking publication, slot and position. Ends in streaming, standing by or failing.
 *   standing by  another process reads the slot; asks again every second or two. Ends when that process ends.
 *   streaming    reads the slot and stores what comes.
 *   failing      something is lost or wrong, `reason` says what; starts again by itself after a while.
 */
export type CaptureState =
  | { readonly state: 'starting' | 'standing by' | 'streaming' }
  | { readonly state: 'failing'; readonly reason: string }

/** Thrown where a person must mend something in the source before capture can go on. */
export class CaptureBlocked extends Error {
  readonly problems: readonly Problem[]

  constructor(problems: readonly Problem[]) {
    super(problems.map(formatProblem).join('\n'))
    this.problems = problems
  }
}

const maxBufferedBytes = 4 * 1024 * 1024
const standbyPollMs = 1_000
const slotIsActive = '55006'

/**
 * The service that reads the slot and fills the outbox. One process at a time streams, which Postgres itself
 * sees to: a slot has one reader. `onStored` is called after each commit to the outbox.
 */
export function createCapture(options: {
  source: Source
  outbox: Outbox
  slotName: string
  publicationName: string
  mapping: readonly EntityMapping[]
  nowMs: () => number
  log: Log
  onStored: (stored: Stored) => void
}): Service & { state(): CaptureState } {
  const { source, outbox, mapping, log, slotName, publicationName } = options
  let state: CaptureState = { state: 'starting' }

  function enter(next: CaptureState) {
    if (next.state !== state.state) log.info('capture.state', { ...next, slot: slotName })
    state = next
  }

  /** Opens the stream, however long another process has the slot; null when aborted meanwhile. */
  async function openWhenFree(inbox: Inbox, walSenderTimeoutMs: number, signal: AbortSignal) {
    while (!signal.aborted) {
      try {
        return await openStream({
          url: source.url,
          slotName,
          publicationName,
          walSenderTimeoutMs,
          handler: inbox,
        })
      } catch (error) {
        if ((error as { code?: string }).code !== slotIsActive) throw error
        enter({ state: 'standing by' })
        await sleep(standbyPollMs * (1 + Math.random()), signal)
      }
    }
    return null
  }

  async function run(signal: AbortSignal): Promise<void> {
    const setup = await setUp(source, outbox, {
      slotName,
      publicationName,
      mapping,
      onWaiting: what => log.warn('capture.waiting', { waiting_for: what }),
    })
    if (!setup.ok) throw new CaptureBlocked(setup.problems)
    const catalogue = await readCatalogue(source, mapping)
    warnOfWithheldColumns(catalogue)

    let stream: Stream | null = null
    const inbox = createInbox({
      maxBytes: maxBufferedBytes,
      onFull: () => stream?.pause(),
      onDrained: () => stream?.resume(),
    })
    stream = await openWhenFree(inbox, setup.walSenderTimeoutMs, signal)
    if (!stream) return
    enter({ state: 'streaming' })
    // However it ends, what is being stored is stored to the end before anything else begins.
    signal.addEventListener('abort', inbox.close, { once: true })
    stream.over.catch(() => {}).finally(inbox.close)
    try {
      // Read only now: the process that had the slot before may have moved it.
      const position = await readPosition(outbox, slotName)
      if (!position) throw new Error(`the position of slot ${slotName} is gone from walhook.positions`)
      await consume({
        inbox,
        map: createMapper({
          source,
          mapping,
          catalogue,
          reloadCatalogue: () => readCatalogue(source, mapping),
        }),
        outbox,
        slotName,
        position,
        nowMs: options.nowMs,
        confirm: stream.confirm,
        onStored,
      })
      if (!signal.aborted) await stream.over
    } finally {
      signal.removeEventListener('abort', inbox.close)
      await stream.close()
    }
  }

  function onStored(stored: Stored) {
    for (const table of stored.truncated)
      log.error('capture.truncated', { table, because: 'the WAL does not name the rows: no delete was sent' })
    options.onStored(stored)
  }

  function warnOfWithheldColumns({ tables }: Catalogue) {
    const columns = mapping.flatMap(entity => {
      const names = tables.get(tableKey(entity.table))?.columns.map(({ name }) => name) ?? []
      return chooseFields(entity.fields, names).withheld.map(column => `${tableKey(entity.table)}.${column}`)
    })
    if (columns.length > 0)
      log.warn('capture.columns_withheld', {
        columns,
        because: 'they look like credentials; name them in the mapping to send them',
      })
  }

  return {
    name: 'capture',
    state: () => state,
    async run(signal) {
      enter({ state: 'starting' })
      try {
        await run(signal)
      } catch (error) {
        enter({ state: 'failing', reason: describeError(error) })
        throw error
      }
    },
  }
}
