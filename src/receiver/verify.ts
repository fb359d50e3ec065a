import { timingSafeEqual } from 'node:crypto'
import { parseSecret, sign } from '../domain/webhook/signature.ts'

export type SignatureVerdict =
  | { readonly state: 'valid' }
  | { readonly state: 'wrong' | 'unchecked'; readonly reason: string }

const toleranceS = 300

/**
 * Verifies a received request as a receiver should: over the raw bytes, with a timestamp at most five minutes from `nowS`
 * (unix seconds), and one signature by one of the secrets.
 * https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
 *
 * @param secrets each a `whsec_…` text; without any the verdict is `unchecked`
 */
export function verify(
  request: {
    id: string | undefined
    timestamp: string | undefined
    signature: string | undefined
    body: string
  },
  secrets: readonly string[],
  nowS: number,
): SignatureVerdict {
  if (secrets.length === 0) return { state: 'unchecked', reason: 'no secret was given' }
  const { id, timestamp, signature, body } = request
  const missing = Object.entries({ id, timestamp, signature }).find(([, value]) => !value)
  if (missing) return wrong(`there is no webhook-${missing[0]} header`)
  const timestampS = Number(timestamp)
  if (!Number.isSafeInteger(timestampS) || String(timestampS) !== timestamp)
    return wrong('webhook-timestamp is not a whole number of unix seconds')
  const offS = Math.round(nowS - timestampS)
  if (Math.abs(offS) > toleranceS)
    return wrong(
      `webhook-timestamp is ${Math.abs(offS)} s in the ${offS > 0 ? 'past' : 'future'}, over ${toleranceS} s`,
    )
  const expected = sign({ id: id!, timestampS, body, secrets: secrets.map(parseSecret) }).split(' ')
  const given = signature!.split(' ')
  const matches = given.filter(one => expected.some(other => isSame(one, other)))
  return matches.length > 0 ? { state: 'valid' } : wrong('no signature was made with a known secret')
}

function wrong(reason: string): SignatureVerdict {
  return { state: 'wrong', reason }
}

function isSame(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)]
  return left.length === right.length && timingSafeEqual(left, right)
}
