import {
  firstPace,
  freeByPace,
  type Pace,
  paceAfter,
  type Reaction,
  type ShownPace,
  shownPace,
} from '../../domain/delivery/pace.ts'
import { isRecovery, type Outage, withFailure } from '../../domain/delivery/recovery.ts'

/** `isFailing`: it was failing before this process' first request. */
type Receiver = { readonly url: string; readonly isFailing: boolean }

type Webhook = {
  /** The pace belongs to the receiver: a new URL starts again. */
  url: string
  pace: Pace
  /** Requests in flight, and those with an uncommitted settlement, which include the former. */
  inFlight: number
  unsettled: number
  /** Since when requests are continuously in flight. */
  busySinceMs: number
  deliveredAtMs: number
  /** Null: no failure since the last success. */
  outage: Outage | null
  /** When an outage ended. */
  recoveredAtMs: number
  /** Not reported yet. */
  isRecoveryNews: boolean
}

/** The number of idle webhooks remembered; a forgotten pace is learned again. */
const maxKnown = 100_000
/** Per request in flight, one may be in the committing settlement, and one may wait for the next. */
const maxUnsettled = 3
/** A receiver without a response for this long is silent. */
const silentAfterMs = 1_000
/** The interval of counting the requests of silent receivers. */
const countEveryMs = 20
/** An earlier failure after a success is an entity's, not the webhook's. */
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

/** The known webhooks; idle ones are forgotten above the limit. */
function createKnown(max: number) {
  const webhooks = new Map<number, Webhook>()

  /** The state before the first request to this URL. */
  const unknown = ({ url, isFailing }: Receiver): Webhook => ({
    ...nothingKnown,
    url,
    pace: firstPace(max, isFailing),
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
    if (webhook.url !== url) Object.assign(webhook, { url, pace: firstPace(max) })
    return webhook
  }

  return {
    ...{ webhooks, of },

    /** A webhook at this URL, without a note of it. A changed URL is unknown. */
    at(webhookId: number, receiver: Receiver): Webhook {
      const known = webhooks.get(webhookId) ?? unknown(receiver)
      return known.url === receiver.url ? known : { ...known, pace: firstPace(max) }
    },

    /** Whether the last response of a webhook's receiver was a success. */
    isDelivering(webhookId: number): boolean {
      const { outage = null, deliveredAtMs = nothingKnown.deliveredAtMs } = webhooks.get(webhookId) ?? {}
      return outage === null && deliveredAtMs > nothingKnown.deliveredAtMs
    },

    /** Whether the last success of a webhook ended an outage. True once. */
    takeRecovery(webhookId: number): boolean {
      const webhook = webhooks.get(webhookId)
      if (!webhook?.isRecoveryNews) return false
      webhook.isRecoveryNews = false
      return true
    },

    hasRecoveredSince: (webhookId: number, startedAtMs: number) =>
      (webhooks.get(webhookId)?.recoveredAtMs ?? Number.NEGATIVE_INFINITY) > startedAtMs,
  }
}

/** The further requests for a webhook with `own`, so that it has half of what is then left. */
function fairShare(own: number, free: number): number {
  const least = own === 0 && free > 0 ? 1 : 0
  return Math.max(Math.floor((free - 2 * own) / 3), least)
}

const hasResponded = ({ pace }: Pick<Webhook, 'pace'>) => pace.respondedAtMs > Number.NEGATIVE_INFINITY

/** Counts the requests of silent and unknown receivers: exactly at intervals, approximately in between. */
function countSilent(total: number, nowMs: () => number) {
  /** Those with requests in flight. */
  const busy = new Set<Webhook>()
  let held = 0
  let heldBySilent = 0
  let countedAtMs = Number.NEGATIVE_INFINITY

  const isSilent = ({ pace, inFlight, busySinceMs }: Webhook) =>
    pace.pauses > 0 || (inFlight > 0 && nowMs() - Math.max(busySinceMs, pace.respondedAtMs) > silentAfterMs)
  const counts = (webhook: Webhook) => isSilent(webhook) || !hasResponded(webhook)

  function count() {
    if (nowMs() - countedAtMs < countEveryMs) return
    countedAtMs = nowMs()
    held = 0
    heldBySilent = 0
    for (const other of busy) {
      if (counts(other)) held += other.inFlight
      if (isSilent(other)) heldBySilent += other.inFlight
    }
  }

  return {
    /** Whether a webhook's receiver may have another request; an unknown one waits for many silent ones. */
    mayHaveMore(webhook: Webhook): boolean {
      if (isSilent(webhook) || freeByPace(webhook.pace, webhook.inFlight, nowMs()) <= 0) return false
      count()
      return hasResponded(webhook) || heldBySilent < total / 4
    },

    /** How many more requests a webhook may have beside those of silent receivers. */
    freeBeside(webhook: Webhook): number {
      const max = isSilent(webhook) ? total / 2 : hasResponded(webhook) ? total : (7 * total) / 8
      if (max === total) return total
      count()
      return Math.ceil(max) - held
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

/** The effect of an attempt on its receiver's state. */
function noteEnd(webhook: Webhook, ended: { reaction: Reaction; startedAtMs: number }, nowMs: number): void {
  if (ended.reaction === 'delivered') {
    if (isRecovery(webhook.outage, nowMs))
      Object.assign(webhook, { recoveredAtMs: nowMs, isRecoveryNews: true })
    webhook.deliveredAtMs = nowMs
    webhook.outage = null
  } else if (ended.startedAtMs >= webhook.deliveredAtMs) webhook.outage = withFailure(webhook.outage, nowMs)
}

/**
 * Limits the requests in flight of this process: a webhook by its pace (at most `max`), and to half of the free ones of
 * `total`, so that something always stays free: one hanging webhook leaves two thirds to the others, five leave a fifth more
 * than each of them has. (Dynamic thresholds, Choudhury and Hahne, IEEE/ACM Transactions on Networking 6(2), 1998.) All
 * silent receivers together get half of `total`, with unknown ones seven eighths: the rest is for those that answer.
 *
 * A request begins (`begin`), ends (`end`), and its settlement commits (`settled`). It counts until `end`; if settlements are
 * delayed, at most three times as many begin.
 */
export function createCapacity({ max, total, nowMs }: { max: number; total: number; nowMs: () => number }) {
  const { webhooks, of, at, ...others } = createKnown(max)
  const silent = countSilent(total, nowMs)
  let inFlight = 0
  let unsettled = 0

  /** How many more requests a webhook may have to this URL. */
  function free(webhookId: number, receiver: Receiver): number {
    const webhook = at(webhookId, receiver)
    const { pace, inFlight: own } = webhook
    const least = Math.min(
      freeByPace(pace, own, nowMs()),
      fairShare(own, total - inFlight),
      silent.freeBeside(webhook),
      maxUnsettled * Math.ceil(pace.limit) - webhook.unsettled,
      maxUnsettled * total - unsettled,
    )
    return Math.max(0, least)
  }

  return {
    free,

    /** Whether a webhook waits for the capacity of this process only: its receiver may have another request. */
    waitsForCapacity: (webhookId: number, receiver: Receiver): boolean =>
      silent.mayHaveMore(at(webhookId, receiver)),

    /** Whether no further request may begin. */
    isFull: () => inFlight >= total || unsettled >= maxUnsettled * total,

    /** The pace of a webhook in this process; null: no recent request. */
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

    /** An attempt has ended. Returns whether the webhook, not just an entity, is failing. */
    end(
      webhookId: number,
      url: string,
      ended: { reaction: Reaction; startedAtMs: number; retryAfterMs: number | null },
    ): boolean {
      const webhook = webhooks.get(webhookId)!
      silent.ends(webhook)
      if (webhook.url === url)
        webhook.pace = paceAfter(webhook.pace, {
          ...ended,
          nowMs: nowMs(),
          inFlight: webhook.inFlight,
          max,
        })
      webhook.inFlight--
      inFlight--
      if (webhook.inFlight === 0) silent.rests(webhook)
      if (ended.reaction === 'cut off') return false
      noteEnd(webhook, ended, nowMs())
      return nowMs() - webhook.deliveredAtMs > wellForMs
    },

    settled(webhookId: number) {
      webhooks.get(webhookId)!.unsettled--
      unsettled--
    },

    ...others,

    /** Requests with an uncommitted settlement. */
    unsettled: () => unsettled,
  }
}

export type Capacity = ReturnType<typeof createCapacity>
