import { failureTexts } from '../../domain/failure/failure-texts.ts'
import { readerOf } from '../../domain/failure/read-back.ts'
import { because, type Reason, sentenceOf } from '../../domain/shown/reason.ts'
import { type AddressKind, addressKinds, reasonTexts } from '../../domain/shown/reason-texts.ts'
import type { Texts } from './en.ts'
import { failuresNl } from './nl/failures.ts'
import { reasonsNl } from './nl/reasons.ts'

const special = 'address.special'

/** The guard's reasons; a text that depends on the kind of an address is one text per kind. */
const guardTexts = Object.fromEntries([
  ...Object.entries(reasonTexts).filter(([code]) => /^(url|address)\./.test(code) && code !== special),
  ...Object.keys(addressKinds).map(kind => [
    `${special} ${kind}`,
    ({ address, range }: { address: string; range: string }) =>
      reasonTexts[special]({ address, range, kind: kind as AddressKind }),
  ]),
])

const readFailure = readerOf(failureTexts)
const readGuard = readerOf(guardTexts)

/** Why an attempt failed, in another language; null in English. */
export const failureText = (t: Texts, english: string): string | null =>
  t.language.code === 'nl' ? readInDutch(english) : null

/** The same, or the original without a translation. */
export const failureInDutch = (english: string): string => readInDutch(english) ?? english

function readInDutch(english: string): string | null {
  const failure = readFailure(english)
  if (failure) return (failuresNl as Record<string, (facts: object) => string>)[failure.code]!(failure.facts)
  const refusal = guardReason(english)
  return refusal && sentenceOf(refusal, reasonsNl)
}

function guardReason(english: string): Reason | null {
  const found = readGuard(english)
  if (!found) return null
  const [code, kind] = found.code.split(' ')
  if (kind !== undefined)
    return because(special, {
      ...(found.facts as { address: string; range: string }),
      kind: kind as AddressKind,
    })
  if (code !== 'address.resolved') return { code, facts: found.facts } as unknown as Reason
  const inner = guardReason(found.facts.because!)
  return inner && because(code, { host: found.facts.host!, because: inner })
}
