import { type Dead, noteBeats, type Silences } from '../../domain/delivery/silence.ts'
import { elapsedMs, type Moment } from '../../domain/value/elapsed.ts'
import type { TimeId } from '../../domain/value/time-id.ts'
import type { Outbox } from '../../outbox/database/database.ts'
import { type Beat, beat, hear, holdSession, join } from '../../outbox/holders/holders.ts'

/** Who has not heard for so long that its row is there begins no request. */
const freshMs = 2_000
/** Nor who has not written for so long until when what it sends is over. */
const writtenMs = 3_000
/**
 * Whose beat stands still for so long, while ours goes on, is taken over: by then it has begun nothing for a second. A second is
 * more than two clocks differ in three. Where its session is there, its host answers and it has not been killed: it may only be
 * short of time.
 */
const deadAfterMs = 3_000
const silentAfterMs = 10_000
/** Nothing is under way so long after the last beat, with requests that take up to `deadlineMs`. */
const aliveMs = (deadlineMs: number) => deadlineMs + writtenMs + 2_000

/**
 * This process among those that deliver: one row that it renews every second or so. Whether it may send is judged by two clocks
 * from before the beat was asked for, so that it ends here before anybody else believes it over.
 */
export async function joinHolders(options: { outbox: Outbox; deadlineMs: number; now: () => Moment }) {
  const { outbox, deadlineMs, now } = options
  let heardAt = now()
  let writtenAt = heardAt
  const { holderId } = await join(outbox, { aliveMs: aliveMs(deadlineMs) })
  let maySendUpTo: TimeId = 0n
  let running: Promise<Beat | null> | null = null
  /** What is known of the others, as of the moment at which our last beat was answered: what it tells is no younger. */
  let silences: Silences = new Map()
  let heardAtMs = 0
  let isAlone = false
  const session = keepSession(outbox, holderId)

  async function renew(upTo: TimeId, isIdle: boolean): Promise<Beat | null> {
    session.keep()
    // Nobody is there who would look at it: whoever comes sees the same beat for some seconds first, and is heard of before.
    if (isIdle && isAlone) return await listenTo(now(), await hear(outbox, { holderId }))
    const at = now()
    const told = await beat(outbox, { holderId, aliveMs: aliveMs(deadlineMs), maySendUpTo: upTo })
    if (!told) return null
    writtenAt = at
    if (upTo > maySendUpTo) maySendUpTo = upTo
    return listenTo(at, told)
  }

  function listenTo(at: Moment, told: Beat | null): Beat | null {
    if (!told) return null
    isAlone = told.holders.length === 1
    const heardMs = now().monotonicMs
    silences = noteBeats(silences, told.holders, heardMs - heardAtMs)
    heardAtMs = heardMs
    heardAt = at
    return told
  }

  return {
    holderId,

    /** Of the main streams, nothing newer may be sent: this much is committed. */
    maySendUpTo: () => maySendUpTo,

    /** Whether nobody can have taken over from this process: a request may begin. */
    mayBegin(): boolean {
      const [heardMs, writtenMsAgo] = [elapsedMs(heardAt, now()), elapsedMs(writtenAt, now())]
      return heardMs !== null && heardMs < freshMs && writtenMsAgo !== null && writtenMsAgo < writtenMs
    },

    /**
     * Renews the row, and lets the main streams go on up to `upTo`. One that is idle and alone writes nothing, and looks only whether it still
     * is. Null: the row is gone, and somebody else has our shares.
     */
    renew(upTo: TimeId, isIdle: boolean): Promise<Beat | null> {
      running ??= renew(upTo > maySendUpTo ? upTo : maySendUpTo, isIdle).finally(() => {
        running = null
      })
      return running
    },

    /** Its session ends: it is no holder any more. */
    endSession: session.end,

    /** Whose beat has stood still for long enough. */
    dead: () => deadOf(silences).filter(({ id }) => id !== holderId),
  }
}

/** A session by which others see that this process has not been killed. Without one, they only take us for dead sooner. */
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
