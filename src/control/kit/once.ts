import { createHash } from 'node:crypto'
import { because } from '../../domain/shown/reason.ts'
import { nonceBytes, seal, unseal } from '../../domain/webhook/seal.ts'
import {
  type CallKey,
  findKey,
  freeKey,
  pruneKeys,
  storeResponse,
  takeKey,
} from '../../outbox/records/idempotency.ts'
import { sleep } from '../../runtime/sleep.ts'
import type { Caller, Control } from './control.ts'
import { conflict, type Failed, type Result } from './result.ts'

/** Longer than any call takes: an unfinished one was cut off. */
const cutOffAfterMs = 60_000
const pollEveryMs = 100

type Once =
  /** The answer of this call, or (`isReplay`) of the first one. */
  | { readonly state: 'done'; readonly response: string; readonly isReplay: boolean }
  /** The key belongs to another request. */
  | { readonly state: 'other_request' }
  /** The work failed without a change; or the first call is running (`mayEnd`), or its result is unknown. */
  | { readonly state: 'failed'; readonly failure: Failed; readonly mayEnd: boolean }

/**
 * Does work once per key of a caller within 24 hours, and repeats the first answer.
 *
 * - free: until a call takes the key, after 24 hours, and at once if the call failed, which changed nothing
 * - taken: while the call runs. A call that was cut off leaves it taken: its effect is unknown, so the caller must check the
 *   state
 * - done: from the end of the call
 *
 * One of two simultaneous calls takes the key, the other waits `waitMs` for its answer, and then gets a conflict. Answers are
 * sealed: they may contain a signing secret or a token. The keys of all cells are in main: a webhook may move between two calls.
 */
export async function once(
  control: Pick<Control, 'cells' | 'sealKey' | 'randomBytes'>,
  caller: Caller,
  request: { readonly key: string; readonly hash: Buffer; readonly waitMs?: number },
  work: () => Promise<Result<string>>,
): Promise<Once> {
  const { outbox } = control.cells.main
  const key: CallKey = { holder: caller.tokenId ?? 0, key: keyOf(caller, request.key) }

  const waitsUntilMs = performance.now() + (request.waitMs ?? 0)
  while (!(await takeKey(outbox, key, request.hash))) {
    const found = await findKey(outbox, key)
    if (found && !found.requestHash.equals(request.hash)) return { state: 'other_request' }
    if (typeof found?.answer === 'string') {
      const opened = unseal(control.sealKey, responsePurpose(key), found.answer)
      return opened.ok
        ? { state: 'done', response: opened.text, isReplay: true }
        : { state: 'failed', failure: unreadable, mayEnd: false }
    }
    const isCutOff = found !== null && found.ageMs >= cutOffAfterMs
    if (isCutOff) return { state: 'failed', failure: cutOff, mayEnd: false }
    if (performance.now() >= waitsUntilMs) return { state: 'failed', failure: goingOn, mayEnd: true }
    await sleep(pollEveryMs)
  }

  await pruneKeys(outbox)
  const done = await work()
  if (!done.ok) {
    await freeKey(outbox, key)
    return { state: 'failed', failure: done, mayEnd: false }
  }
  await storeResponse(outbox, key, sealResponse(control, key, done.value))
  return { state: 'done', response: done.value, isReplay: false }
}

/** Callers from a link or a provider have keys with a blank, which no other key has. */
function keyOf({ kind, tenant, name, userId, subject }: Caller, key: string): string {
  if (kind !== 'link' && kind !== 'oidc') return key
  return `${kind} ${createHash('sha256')
    .update(JSON.stringify([tenant, name, userId, key, ...(subject === undefined ? [] : [subject])]))
    .digest('hex')}`
}

/** The purpose that a call's answer is sealed for. */
export const responsePurpose = ({ holder, key }: CallKey) => `walhook answer ${holder} ${key}`

export function sealResponse(
  { sealKey, randomBytes }: Pick<Control, 'sealKey' | 'randomBytes'>,
  key: CallKey,
  response: string,
): string {
  return seal(sealKey, responsePurpose(key), response, randomBytes(nonceBytes))
}

const goingOn = conflict(because('once.going_on'))
const cutOff = conflict(because('once.cut_off'))
const unreadable = conflict(because('once.unreadable'))
