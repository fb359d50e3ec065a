import type { Lsn } from '../../domain/value/lsn.ts'

/**
 * Confirmations within this time are combined, in ms: a status per commit would cost both sides more than it is worth, since
 * positions identify repeated changes after a crash.
 */
const confirmWithinMs = 50

/** Thrown by a stream whose server was silent for too long. */
export class LinkDead extends Error {
  constructor(silentMs: number) {
    super(`the server has sent nothing for ${Math.round(silentMs / 1000)} s: the link is dead`)
  }
}

/**
 * Reports to the server what is stored: soon after each confirmation, and five times within `silenceLimitMs`, also while paused. Those ask
 * for an answer, and without one `onDead` is called. Whoever opens this calls `end`.
 */
export function openReports(options: {
  send: (bytes: Buffer) => void
  silenceLimitMs: number
  onDead: (error: LinkDead) => void
}) {
  const { send, silenceLimitMs, onDead } = options
  let confirmed: Lsn = 0n
  let soon: NodeJS.Timeout | null = null
  let isPaused = false
  let lastByteAtMs = performance.now()

  function report(wantsReply: boolean, received: Lsn = confirmed) {
    send(statusUpdate(confirmed, Date.now(), wantsReply, received))
  }

  const silentMs = () => (isPaused ? 0 : performance.now() - lastByteAtMs)
  const timer = setInterval(() => {
    if (silentMs() > silenceLimitMs) onDead(new LinkDead(silentMs()))
    else report(true)
  }, silenceLimitMs / 5)

  return {
    silentMs,
    now: () => report(false),

    /** The server asks for a report. */
    answer: (received: Lsn) => report(false, received),

    /** The server has sent something. */
    heard(): void {
      lastByteAtMs = performance.now()
    },

    /** Everything before `lsn` is stored. */
    confirm(lsn: Lsn): void {
      if (lsn <= confirmed) return
      confirmed = lsn
      soon ??= setTimeout(() => {
        soon = null
        report(false)
      }, confirmWithinMs)
    },

    pause(): void {
      isPaused = true
    },

    resume(): void {
      isPaused = false
      lastByteAtMs = performance.now()
    },

    end(): void {
      clearInterval(timer)
      clearTimeout(soon ?? undefined)
    },
  }
}

/**
 * A Standby status update of 34 bytes: everything before `lsn` is flushed and applied, everything before `received` is
 * received. If more is received than flushed, the flush position is omitted: a server that shuts down waits for the flush of
 * any client that reports one. Only the flush position moves the slot.
 * https://www.postgresql.org/docs/current/protocol-replication.html#PROTOCOL-REPLICATION-STANDBY-STATUS-UPDATE
 */
export function statusUpdate(lsn: Lsn, nowMs: number, wantsReply: boolean, received: Lsn = lsn): Buffer {
  const bytes = Buffer.alloc(34)
  bytes.write('r', 0)
  const flushed = received > lsn ? 0n : lsn
  bytes.writeBigUInt64BE(received > lsn ? received : lsn, 1)
  bytes.writeBigUInt64BE(flushed, 9)
  bytes.writeBigUInt64BE(flushed, 17)
  bytes.writeBigInt64BE(BigInt(nowMs - 946_684_800_000) * 1000n, 25)
  bytes.writeInt8(wantsReply ? 1 : 0, 33)
  return bytes
}
