import {
  type Answer,
  afterAnswer,
  firstPace,
  type Pace,
  paceRoom,
  type ShownPace,
  shownPace,
} from '../../domain/delivery/pace.ts'
import { isRecovery, type Outage, withFailure } from '../../domain/delivery/recovery.ts'

/** `isFailing`: it was failing when nobody here had asked it for anything yet. */
type Receiver = { readonly url: string; readonly isFailing: boolean }

type Webhook = {
  /** The pace is the receiver's: another URL begins anew. */
  url: string
  pace: Pace
  /** Requests under way, and those whose settlement has not committed: the former are among the latter. */
  inFlight: number
  unsettled: number
  /** Since when something is under way, without a break. */
  busySinceMs: number
  deliveredAtMs: number
  /** Null: nothing has failed since the last success. */
  outage: Outage | null
  /** When everything was refused before, and this was not. */
  recoveredAtMs: number
  /** Nobody has heard of it yet. */
  isRecoveryNews: boolean
}

/** What was given back is remembered for so many webhooks; a pace that is forgotten is found anew. */
const maxKnown = 10_000
/** For each request that may be in flight, one may be in the settlement that commits, and one may wait for the next. */
const mostUnsettled = 3
/** A receiver that answers nothing for so long is silent. */
const silentAfterMs = 1_000
/** How often it is counted how many requests silent ones hold. */
const countEveryMs = 20
/** A failure so soon after a success is an entity's, not the webhook's. */
const wellForMs = 60_000

const nothingKnown = {
  inFlight: 0,
  unsettled: 0,
  busySinceMs: 0,
  deliveredAtMs: Number.NEGATIVE_INFINITY,
  outage: null,
  recoveredAtMs: Number.NEGATIVE_INFINITY,
  isRecoveryNews: false,
} as const

/** What is known of webhooks; those that nothing is under way of are forgotten where there are too many. */
function createKnown(most: number) {
  const webhooks = new Map<number, Webhook>()

  /** As it is before it is asked for anything at this URL. */
  const unknown = ({ url, isFailing }: Receiver): Webhook => ({
    ...nothingKnown,
    url,
    pace: firstPace(most, isFailing),
  })

  function forgetIdle() {
    for (const [id, webhook] of webhooks) if (webhook.unsettled === 0) webhooks.delete(id)
  }

  function of(webhookId: number, receiver: Receiver): Webhook {
    let webhook = webhooks.get(webhookId)
    if (!webhook) {
      if (webhooks.size >= maxKnown) forgetIdle()
      webhook = unknown(receiver)
      webhooks.set(webhookId, webhook)
    }
    const { url } = receiver
    if (webhook.url !== url) Object.assign(webhook, { url, pace: firstPace(most) })
    return webhook
  }

  return {
    ...{ webhooks, unknown, of },

    /** Whether the last success of a webhook ended an outage. Says so once. */
    takeRecovery(webhookId: number): boolean {
      const webhook = webhooks.get(webhookId)
      if (!webhook?.isRecoveryNews) return false
      webhook.isRecoveryNews = false
      return true
    },

    /** Whether a webhook has recovered since `startedAtMs`. */
    hasRecoveredSince: (webhookId: number, startedAtMs: number) =>
      (webhooks.get(webhookId)?.recoveredAtMs ?? Number.NEGATIVE_INFINITY) > startedAtMs,
  }
}

/** Of what is free, so much more for a webhook that has `own`: with it, it has half of what is then left. */
function fairShare(own: number, free: number): number {
  const least = own === 0 && free > 0 ? 1 : 0
  return Math.max(Math.floor((free - 2 * own) / 3), least)
}

const hasAnswered = ({ pace }: Pick<Webhook, 'pace'>) => pace.answeredAtMs > Number.NEGATIVE_INFINITY

/** Counts the requests of those that are silent, or of which nothing is known: exactly every so often, roughly in between. */
function countSilent(total: number, nowMs: () => number) {
  /** Those that have requests under way. */
  const busy = new Set<Webhook>()
  let held = 0
  let countedAtMs = Number.NEGATIVE_INFINITY

  const isSilent = ({ pace, inFlight, busySinceMs }: Webhook) =>
    pace.pauses > 0 || (inFlight > 0 && nowMs() - Math.max(busySinceMs, pace.answeredAtMs) > silentAfterMs)
  const counts = (webhook: Webhook) => isSilent(webhook) || !hasAnswered(webhook)

  return {
    /** How many more requests a webhook may have in flight because of those that do not answer. */
    roomBeside(webhook: Webhook): number {
      const most = isSilent(webhook) ? total / 2 : hasAnswered(webhook) ? total : (7 * total) / 8
      if (most === total) return total
      if (nowMs() - countedAtMs >= countEveryMs) {
        countedAtMs = nowMs()
        held = 0
        for (const other of busy) if (counts(other)) held += other.inFlight
      }
      return Math.ceil(most) - held
    },
    begins(webhook: Webhook): void {
      busy.add(webhook)
      if (counts(webhook)) held++
    },
    ends(webhook: Webhook): void {
      if (counts(webhook)) held--
    },
    rests: (webhook: Webhook): unknown => busy.delete(webhook),
  }
}

/** What the end of an attempt says of how the receiver is. */
function noteEnd(webhook: Webhook, ended: { answer: Answer; startedAtMs: number }, nowMs: number): void {
  if (ended.answer === 'delivered') {
    if (isRecovery(webhook.outage, nowMs))
      Object.assign(webhook, { recoveredAtMs: nowMs, isRecoveryNews: true })
    Object.assign(webhook, { deliveredAtMs: nowMs, outage: null })
  } else if (ended.startedAtMs >= webhook.deliveredAtMs) webhook.outage = withFailure(webhook.outage, nowMs)
}

/**
 * Says who may have how many requests in flight, in this process: a webhook as many as its pace allows (`most` at the
 * best), and at most half as many as are free of all `total` places. So what is left is never taken by those who
 * hold what they have: one webhook that hangs leaves two thirds to the others, five leave a fifth more than any of
 * them has. (Dynamic thresholds, Choudhury and Hahne, IEEE/ACM Transactions on Networking 6(2), 1998.) All webhooks that
 * are silent (whose receiver answers nothing to what is under way, or did not lately) together hold half of the places at
 * most; with those of which nothing is known, seven eighths: however many hang, those that answer have the rest.
 *
 * A request begins (`begin`), it ends (`end`), its settlement commits (`settled`). Requests count until `end`; while
 * settlements are held up, at most three times as many are begun.
 */
export function createPlaces(options: { most: number; total: number; nowMs: () => number }) {
  const { most, total, nowMs } = options
  const { webhooks, of, unknown, ...recoveries } = createKnown(most)
  const silent = countSilent(total, nowMs)
  let inFlight = 0
  let unsettled = 0

  /** How many more requests of a webhook may be in flight to this URL. Another one than before is unknown. */
  function room(webhookId: number, receiver: Receiver): number {
    const known = webhooks.get(webhookId) ?? unknown(receiver)
    const webhook = known.url === receiver.url ? known : { ...known, pace: firstPace(most) }
    const { pace } = webhook
    const own = webhook.inFlight
    const rooms = [
      paceRoom(pace, own, nowMs()),
      fairShare(own, total - inFlight),
      silent.roomBeside(webhook),
      mostUnsettled * Math.ceil(pace.limit) - webhook.unsettled,
      mostUnsettled * total - unsettled,
    ]
    return Math.max(0, Math.min(...rooms))
  }

  return {
    room,

    /** Whether nobody may have one more request in flight. */
    isFull: () => inFlight >= total || unsettled >= mostUnsettled * total,

    /** The pace of a webhook in this process; null where it has sent it nothing lately. */
    paceOf(webhookId: number): ShownPace | null {
      const webhook = webhooks.get(webhookId)
      return webhook ? shownPace(webhook.pace, nowMs()) : null
    },

    begin(webhookId: number, receiver: Receiver) {
      const webhook = of(webhookId, receiver)
      if (webhook.inFlight === 0) webhook.busySinceMs = nowMs()
      silent.begins(webhook)
      webhook.inFlight++
      webhook.unsettled++
      inFlight++
      unsettled++
    },

    /** An attempt has ended. Returns whether the webhook is failing, and not only an entity of it. */
    end(
      webhookId: number,
      url: string,
      ended: { answer: Answer; startedAtMs: number; retryAfterMs: number | null },
    ): boolean {
      const webhook = webhooks.get(webhookId)!
      silent.ends(webhook)
      if (webhook.url === url)
        webhook.pace = afterAnswer(webhook.pace, {
          ...ended,
          nowMs: nowMs(),
          inFlight: webhook.inFlight,
          most,
        })
      webhook.inFlight--
      inFlight--
      if (webhook.inFlight === 0) silent.rests(webhook)
      if (ended.answer === 'cut off') return false
      noteEnd(webhook, ended, nowMs())
      return nowMs() - webhook.deliveredAtMs > wellForMs
    },

    settled(webhookId: number) {
      webhooks.get(webhookId)!.unsettled--
      unsettled--
    },

    ...recoveries,

    /** Requests whose settlement has not committed. */
    unsettled: () => unsettled,
  }
}

export type Places = ReturnType<typeof createPlaces>
