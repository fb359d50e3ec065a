import { sleep } from '../runtime/sleep.ts'
import type { CaptureState } from './continuity/state.ts'
import type { Source } from './source/source.ts'
import { enter, type Status } from './status.ts'
import { readCharset } from './stream/charset.ts'
import { createInbox, type Inbox } from './stream/inbox.ts'
import { openStream, type Stream } from './stream/stream.ts'

/** The limits of unstored WAL, and of one batch, in bytes. */
const maxBufferedBytes = 4 * 1024 * 1024
const batchBytes = 256 * 1024
const standbyPollMs = 1_000
/** After the notification that the slot is free, tries so often, so fast: the server may not have released it yet. */
const promptTries = 10
const promptPollMs = 50
const defaultSilenceLimitMs = 20_000
const longestSilenceLimitMs = 200_000
const slotIsActive = '55006'

/** The state that one connection passes to the next. */
export type Link = {
  /** The server process of the last connection: it may hold the slot although the link is dead. */
  ownBackend: number
  /** Longer if nothing arrives at all: a server may process a huge irrelevant transaction. */
  silenceLimitMs: number
  /** The shortest pause between two tries to read a slot that another process reads. */
  readonly standbyPollMs: number
  /** Ends that pause. */
  slotFreed: () => void
}

type SlotReader = {
  readonly source: Source
  readonly slotName: string
  readonly publicationName: string
  readonly status: Status
  readonly link: Link
}

export const newLink = (): Link => ({
  ownBackend: 0,
  silenceLimitMs: defaultSilenceLimitMs,
  standbyPollMs,
  slotFreed() {},
})

export function noteDead(link: Link): void {
  link.silenceLimitMs = Math.min(2 * link.silenceLimitMs, longestSilenceLimitMs)
}

export function noteAlive(link: Link): void {
  link.silenceLimitMs = defaultSilenceLimitMs
}

/** The stream of the slot with its inbox; null: aborted before the slot was free. */
export async function connect(
  reader: SlotReader,
  signal: AbortSignal,
): Promise<{ stream: Stream; inbox: Inbox } | null> {
  let stream: Stream | null = null
  const charset = await readCharset(reader.source)
  const inbox = createInbox({
    charset,
    maxBytes: maxBufferedBytes,
    batchBytes,
    onFull: () => stream?.pause(),
    onDrained: () => stream?.resume(),
  })
  stream = await openWhenFree({ ...reader, isConverted: charset === null }, inbox, signal)
  if (!stream) return null
  reader.link.ownBackend = stream.backendPid
  return { stream, inbox }
}

/** Opens the stream, waiting for another process' slot; null: aborted meanwhile. */
async function openWhenFree(
  reader: SlotReader & { readonly isConverted: boolean },
  handler: Inbox,
  signal: AbortSignal,
): Promise<Stream | null> {
  const { source, slotName, publicationName, isConverted, link, status } = reader
  let prompt = 0
  while (!signal.aborted) {
    const freed = new AbortController()
    link.slotFreed = () => freed.abort()
    try {
      const { silenceLimitMs } = link
      return await openStream({
        ...{ url: source.url, slotName, publicationName, isConverted, silenceLimitMs, handler },
      })
    } catch (error) {
      if ((error as { code?: string }).code !== slotIsActive) throw error
      enter(status, await whoHasTheSlot(reader))
      const pauseMs = prompt > 0 ? promptPollMs : link.standbyPollMs * (1 + Math.random())
      await sleep(pauseMs, AbortSignal.any([signal, freed.signal]))
      prompt = freed.signal.aborted ? promptTries : prompt - 1
    }
  }
  return null
}

/** Another process reads the slot, or the own dead link holds it: then that one is ended. */
async function whoHasTheSlot({ source, slotName, link }: SlotReader): Promise<CaptureState> {
  const { rows } = await source.pool.query(
    `select active_pid = $2 as is_own, pg_terminate_backend(active_pid) from pg_replication_slots
     where slot_name = $1 and active_pid = $2`,
    [slotName, link.ownBackend],
  )
  if (rows.length === 0) return { state: 'standing by', reason: null }
  return { state: 'starting', reason: 'a dead connection of walhook still holds the slot' }
}
