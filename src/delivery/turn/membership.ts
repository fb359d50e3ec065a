import { type Dead, noteBeats, type Silences } from '../../domain/delivery/silence.ts'
import { elapsedMs, type Moment } from '../../domain/value/elapsed.ts'
import type { TimeId } from '../../domain/value/time-id.ts'
import type { Outbox } from '../../outbox/database/database.ts'
import { type Beat, beat, hear, noteReach } from '../../outbox/holders/beats.ts'
import { join } from '../../outbox/holders/holders.ts'
import { holdSession } from '../../outbox/holders/session.ts'

/** Without seeing its row for this long, a process begins no request. */
const freshMs = 2_000
/** Nor without renewing its row for this long. */
const writtenMs = 3_000
/**
 * A holder whose beat stops for this long, while ours continues, is taken over: it has begun nothing for a second by then,
 * which is more than two clocks differ in three. If its session exists, it was not killed and its host answers: it may just
 * be slow.
 */
const deadAfterMs = 3_000
const silentAfterMs = 10_000
/** No request is in flight this long after the last beat, with attempts of up to `deadlineMs`. */
const aliveMs = (deadlineMs: number) => deadlineMs + writtenMs + 2_000

/**
 * This process' membership: one row, renewed every second or so. Two clocks, read before each beat, decide whether it may
 * send, so that it ends here before others consider it dead.
 */
export async function joinHolders(options: { outbox: Outbox; deadlineMs: number; now: () => Moment }) {
  const { outbox, deadlineMs, now } = options
  let heardAt = now()
  let writtenAt = heardAt
  const { holderId } = await join(outbox, { aliveMs: aliveMs(deadlineMs) })
  let maySendUpTo: TimeId = 0n
  let running: Promise<Beat | null> | null = null
  /** The others' silences at the answer to our last beat, never too short. */
  let silences: Silences = new Map()
  let heardAtMs = 0
  let isAlone = false
  const session = keepSession(outbox, holderId)
  const own = ownBeat(holderId)

  async function renew(upTo: TimeId, isIdle: boolean): Promise<Beat | null> {
    session.keep()
    // Alone, an idle holder writes nothing: a newcomer first watches for seconds, and is noticed before.
    if (isIdle && isAlone) return await listenTo(now(), await hear(outbox, { holderId }))
    const at = now()
    const beats = await beat(outbox, { holderId, aliveMs: aliveMs(deadlineMs), maySendUpTo: upTo })
    const heard = listenTo(at, beats)
    if (!heard) return null
    own.written()
    writtenAt = at
    if (upTo > maySendUpTo) maySendUpTo = upTo
    return heard
  }

  function listenTo(at: Moment, beats: Beat | null): Beat | null {
    if (!beats || own.isSetBack(beats)) return null
    isAlone = beats.holders.length === 1
    const heardMs = now().monotonicMs
    silences = noteBeats(silences, beats.holders, heardMs - heardAtMs)
    heardAtMs = heardMs
    heardAt = at
    return beats
  }

  return {
    holderId,

    /** The main streams' committed reach: no later event may be sent. */
    maySendUpTo: () => maySendUpTo,

    /** Whether no other process can have taken over: a request may begin. */
    mayBegin(): boolean {
      const at = now()
      const isWithin = (from: Moment, ms: number) => (elapsedMs(from, at) ?? ms) < ms
      return isWithin(heardAt, freshMs) && isWithin(writtenAt, writtenMs)
    },

    /**
     * Renews the row, and extends the main streams' reach to `upTo`. An idle, sole holder only reads. Null: the row is gone,
     * and another process has our shares.
     */
    renew(upTo: TimeId, isIdle: boolean): Promise<Beat | null> {
      running ??= renew(upTo > maySendUpTo ? upTo : maySendUpTo, isIdle).finally(() => {
        running = null
      })
      return running
    },

    /** Whether the last beat saw no other holder. */
    isAlone: () => isAlone,

    /** Ends its session: it is no longer a holder. */
    endSession: session.end,

    /** It starts nothing more, so a successor knows the requests that may be in flight. */
    async noteEnd() {
      session.end()
      await noteReach(outbox, { holderId, aliveMs: aliveMs(deadlineMs), maySendUpTo })
    },

    /** The holders silent for long enough. */
    dead: () => deadOf(silences).filter(({ id }) => id !== holderId),
  }
}

/** A holder's own beat in the outbox, at least. */
function ownBeat(holderId: number) {
  let known = 0n
  return {
    written(): void {
      known++
    },
    /** It is a beat of before: the outbox was restored, and may lack what our memory relies on. */
    isSetBack({ holders }: Beat): boolean {
      const read = holders.find(({ id }) => id === holderId)?.beat ?? known
      const isLower = read < known
      if (!isLower) known = read
      return isLower
    },
  }
}

/** A session that shows that this process was not killed. Without it, others consider us dead sooner. */
function keepSession(outbox: Outbox, holderId: number) {
  let session: { end(): void } | 'asked for' | null = null
  return {
    keep() {
      if (session) return
      session = 'asked for'
      const onLost = () => {
        session = null
      }
      holdSession(outbox, holderId, onLost).then(held => {
        if (session === 'asked for') session = held
        else held.end()
      }, onLost)
    },
    end() {
      if (session !== null && session !== 'asked for') session.end()
      session = { end() {} }
    },
  }
}

function deadOf(silences: Silences): Dead[] {
  return [...silences]
    .filter(([, { silentMs, hasSession }]) => silentMs >= (hasSession ? silentAfterMs : deadAfterMs))
    .map(([id, silence]) => ({ id, ...silence }))
}

export type Membership = Awaited<ReturnType<typeof joinHolders>>
