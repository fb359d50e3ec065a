import { setTimeout as sleep } from 'node:timers/promises'
import type { Sendable, Target } from '../../../src/delivery/sending/deliver.ts'
import type { Attempt } from '../../../src/domain/delivery/attempt.ts'

/** How a webhook's receiver behaves: `loses` accepts, and its answer never arrives. */
export type Manner = 'accepts' | 'fails' | 'hangs' | 'loses'

/** A request of a process to a receiver. */
export type Request = {
  readonly webhookId: number
  readonly process: number
  readonly eventIds: readonly bigint[]
  readonly isManual: boolean
  readonly startedMs: number
  /** When nothing of it was under way any more. */
  endedMs: number
  /** The receiver has taken it. */
  isAccepted: boolean
  /** The process has heard that it was taken. */
  isKnown: boolean
}

/** What a process is to the request: whether it still lives, and how long it waits for an answer. */
export type Sender = { readonly process: number; readonly deadlineMs: number; isDead(): boolean }

/** Receivers that do as they are told, and remember every request in the order in which they came. */
export function openReceivers(onRequest: (request: Request) => void) {
  const manners = new Map<number, Manner>()
  const requests: Request[] = []

  /** Instead of HTTP: the request reaches the receiver at once, and is taken, refused or kept waiting a little later. */
  async function deliver(
    sender: Sender,
    { webhookId, url }: Target,
    { body, ...message }: Sendable,
    signal: AbortSignal,
    mayBegin: () => boolean = () => true,
  ): Promise<Attempt> {
    const startedAt = new Date()
    const startMs = performance.now()
    const attempt = (
      how: Pick<Attempt, 'outcome' | 'errorClass' | 'errorMessage' | 'response'>,
    ): Attempt => ({
      ...message,
      ...how,
      webhookId,
      startedAt,
      durationMs: performance.now() - startMs,
      phases: {},
      remoteAddress: null,
      request: { url, headers: {}, body },
    })
    // A process that is dead does nothing more.
    if (sender.isDead()) return await new Promise(() => {})
    if (!mayBegin())
      return attempt({ outcome: 'cancelled', errorClass: null, errorMessage: null, response: null })
    const request: Request = {
      webhookId,
      process: sender.process,
      eventIds: message.eventIds ?? [message.eventId!],
      isManual: message.trigger === 'manual',
      startedMs: startMs,
      endedMs: Number.POSITIVE_INFINITY,
      isAccepted: false,
      isKnown: false,
    }
    onRequest(request)
    requests.push(request)
    const manner = manners.get(webhookId) ?? 'accepts'
    const isHanging = manner === 'hangs'
    await sleep(isHanging ? sender.deadlineMs : 1 + Math.random() * 15, undefined, { signal }).catch(() => {})
    const isCut = signal.aborted
    request.endedMs = performance.now()
    request.isAccepted = !isCut && (manner === 'accepts' || manner === 'loses')
    if (sender.isDead()) return await new Promise(() => {})
    if (isCut) return attempt({ outcome: 'cancelled', errorClass: null, errorMessage: null, response: null })
    request.isKnown = manner === 'accepts'
    if (manner === 'accepts')
      return attempt({
        outcome: 'delivered',
        errorClass: null,
        errorMessage: null,
        response: { status: 204, headers: {}, body: '', truncated: false },
      })
    if (manner === 'fails')
      return attempt({
        outcome: 'refused',
        errorClass: 'http_error',
        errorMessage: 'The receiver answered 500.',
        response: { status: 500, headers: {}, body: '', truncated: false },
      })
    return attempt({
      outcome: 'unreachable',
      errorClass: 'timeout',
      errorMessage: 'The receiver did not answer.',
      response: null,
    })
  }

  return { manners, requests, deliver }
}

export type Receivers = ReturnType<typeof openReceivers>
