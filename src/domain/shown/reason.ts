import { type Inner, reasonTexts } from './reason-texts.ts'

type ReasonCode = keyof typeof reasonTexts

type Nothing = Record<never, never>
type FactsOf<Code extends ReasonCode> =
  Parameters<(typeof reasonTexts)[Code]> extends [infer Facts, ...unknown[]] ? Facts : Nothing

/** Why walhook refuses a request: a code with facts, for any language. In English: `reasonInEnglish`. */
export type Reason = {
  readonly [Code in ReasonCode]: { readonly code: Code; readonly facts: FactsOf<Code> }
}[ReasonCode]

/** One sentence per code. `sentenceOf` is for a reason inside a reason. */
export type ReasonTexts = {
  readonly [Code in ReasonCode]: (facts: FactsOf<Code>, sentenceOf: (inner: Inner) => string) => string
}

export function because<Code extends ReasonCode>(
  code: Code,
  ...[facts]: Nothing extends FactsOf<Code> ? [] : [FactsOf<Code>]
): Reason {
  return { code, facts: facts ?? {} } as Reason
}

export function sentenceOf(reason: Reason, texts: ReasonTexts): string {
  const text = texts[reason.code] as (facts: unknown, sentenceOf: (inner: Inner) => string) => string
  return text(reason.facts, inner => sentenceOf(inner as Reason, texts))
}

export function reasonInEnglish(reason: Reason): string {
  return sentenceOf(reason, reasonTexts)
}
