import type { Lsn } from '../../domain/value/lsn.ts'
import type { Charset } from './charset.ts'
import { createDecoder, expectKnown, isMeaningless, type Message, tagOf } from './decode.ts'
import { createMessageQueue } from './message-queue.ts'

/** A transaction whose messages, or the rest of them, are queued. */
export type Waiting = {
  readonly commitLsn: Lsn
  readonly committedAt: Date
  readonly xid: number
  mark: string | null
  hasTruncate: boolean
  messages: number
  bytes: number
}
type Complete = Waiting & { readonly endLsn: Lsn; probe: string | null }

/** The cost of a message beyond its bytes: even a narrow row becomes an event. */
export const messageBytes = 100

/** The unread messages: whole transactions, then at most one open one. They stay bytes until they are taken. */
export type Arriving = {
  readonly decode: ReturnType<typeof createDecoder>
  readonly queue: ReturnType<typeof createMessageQueue>
  queuedBytes: number
  readonly complete: Complete[]
  open: Waiting | null
  /** The position of a keepalive, and a probe, after the last whole transaction. */
  reachedLsn: Lsn | null
  probe: string | null
  /** An unreadable message: thrown after everything before it was taken. */
  broken: { readonly error: unknown } | null
}

export function nothingYet(charset: Charset | null): Arriving {
  return {
    decode: createDecoder(charset),
    queue: createMessageQueue(),
    queuedBytes: 0,
    complete: [],
    open: null,
    reachedLsn: null,
    probe: null,
    broken: null,
  }
}

/** Adds a pgoutput message, copied before this returns. An unreadable one ends the queue. */
export function addMessage(arriving: Arriving, bytes: Buffer): void {
  if (arriving.broken) return
  try {
    read(arriving, bytes)
  } catch (error) {
    arriving.broken = { error }
  }
}

/** A keepalive's position counts only between transactions: inside one it says nothing about the rest. */
export function addKeepalive(arriving: Arriving, walEnd: Lsn): void {
  const { open, broken, reachedLsn } = arriving
  if (open || broken) return
  if (reachedLsn === null || walEnd > reachedLsn) arriving.reachedLsn = walEnd
}

function read(arriving: Arriving, bytes: Buffer): void {
  const tag = tagOf(bytes)
  expectKnown(tag)
  if (isMeaningless(tag)) return
  const { open, decode } = arriving
  switch (tag) {
    case 'B': {
      const { commitLsn, committedAt, xid } = decode(bytes) as Message & { kind: 'begin' }
      arriving.open = { commitLsn, committedAt, xid, mark: null, hasTruncate: false, messages: 0, bytes: 0 }
      break
    }
    case 'C':
      onCommit(arriving, decode(bytes) as Message & { kind: 'commit' })
      break
    case 'M': {
      const message = decode(bytes)
      if (message.kind === 'probe') onProbe(arriving, message.id)
      else if (message.kind === 'mark' && open) open.mark = message.id
      break
    }
    default:
      if (!open) throw new Error('the stream holds a change outside a transaction')
      arriving.queue.push(bytes)
      if (tag === 'T') open.hasTruncate = true
      open.messages++
      open.bytes += bytes.length + messageBytes
      arriving.queuedBytes += bytes.length + messageBytes
  }
}

function onCommit(arriving: Arriving, { endLsn }: Message & { kind: 'commit' }): void {
  const { open, complete, probe } = arriving
  if (!open) throw new Error('the stream commits a transaction that it did not begin')
  complete.push({ ...open, endLsn, probe })
  arriving.open = null
  arriving.reachedLsn = null
  arriving.probe = null
}

function onProbe(arriving: Arriving, id: string): void {
  const last = arriving.complete.at(-1)
  if (last) last.probe = id
  else arriving.probe = id
  if (!last && !arriving.open) arriving.reachedLsn ??= 0n
}
