import type { Lsn } from '../../domain/value/lsn.ts'
import { createDecoder, expectKnown, isMeaningless, type Message, tagOf } from './decode.ts'
import { createMessageQueue } from './message-queue.ts'

/** A transaction whose messages, or the rest of them, wait in the queue. */
export type Waiting = {
  readonly commitLsn: Lsn
  readonly committedAt: Date
  readonly xid: number
  mark: string | null
  hasTruncate: boolean
  messages: number
  bytes: number
}
export type Complete = Waiting & { readonly endLsn: Lsn; probe: string | null }

/** What a message weighs beyond its bytes: a narrow row is an event, and costs memory, like a wide one. */
export const messageBytes = 100

/**
 * What has arrived and was not taken: a row of whole transactions, then at most one open one. Their messages wait as bytes,
 * and become changes when they are taken.
 */
export type Arriving = {
  readonly decode: ReturnType<typeof createDecoder>
  readonly queue: ReturnType<typeof createMessageQueue>
  queuedBytes: number
  readonly complete: Complete[]
  open: Waiting | null
  /** A keepalive's position, and a probe, that came after the last of the whole transactions. */
  reachedLsn: Lsn | null
  probe: string | null
  /** What came and can't be read: thrown once everything before it was taken. What follows is not looked at. */
  broken: { readonly error: unknown } | null
}

export function nothingYet(): Arriving {
  return {
    decode: createDecoder(),
    queue: createMessageQueue(),
    queuedBytes: 0,
    complete: [],
    open: null,
    reachedLsn: null,
    probe: null,
    broken: null,
  }
}

/** Adds a message of pgoutput, which is read or copied before this returns. What can't be read breaks what follows. */
export function addMessage(arriving: Arriving, bytes: Buffer): void {
  if (arriving.broken) return
  try {
    read(arriving, bytes)
  } catch (error) {
    arriving.broken = { error }
  }
}

/** A keepalive's position counts as reached only between transactions: inside one it says nothing of what follows of it. */
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
