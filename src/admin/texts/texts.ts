import type { Context } from 'hono'
import { type DetectorOptions, detectFromCookie, detectFromHeader } from 'hono/language'
import type { Gap } from '../../control/status/status.ts'
import type { LanguageCode } from '../../domain/access/language.ts'
import type { CaptureCode } from '../../domain/capture/capture-code.ts'
import { type Lost, lostSentence } from '../../domain/capture/lost-texts.ts'
import type { PageCode } from '../../domain/capture/page-failures.ts'
import { type ExplainTexts, explainTexts } from '../../domain/failure/explain-texts.ts'
import { type Reason, type ReasonTexts, sentenceOf } from '../../domain/shown/reason.ts'
import { reasonTexts } from '../../domain/shown/reason-texts.ts'
import type { Problem } from '../../domain/value/problem.ts'
import { en, type Texts } from './en.ts'
import { captureCodesNl, gapReasonsNl, lostNl, pageCodesNl, refusalsNl } from './nl/capture.ts'
import { explainTextsNl } from './nl/explain.ts'
import { reasonsNl } from './nl/reasons.ts'
import { nl } from './nl.ts'

export const languages = { en, nl } as const satisfies Record<LanguageCode, Texts>
export type Language = LanguageCode
/** The language of texts. */
export const languageOf = (t: Texts): Language => t.language.code as Language

const detection: DetectorOptions = {
  order: ['cookie', 'header'],
  lookupQueryString: '',
  lookupCookie: 'walhook_language',
  lookupFromHeaderKey: 'accept-language',
  lookupFromPathIndex: 0,
  caches: false,
  ignoreCase: true,
  supportedLanguages: Object.keys(languages),
  fallbackLanguage: 'en',
}

/** The cookie of a reader's language. */
export const languageCookie = detection.lookupCookie

/**
 * The texts for a request: in the language chosen here, else the first known one of the browser, else English.
 * https://www.rfc-editor.org/rfc/rfc9110#field.accept-language
 */
export function textsOf(c: Context): Texts {
  const language = detectFromCookie(c, detection) ?? detectFromHeader(c, detection)
  return languages[(language ?? 'en') as Language]
}

export function isLanguage(name: string): name is Language {
  return Object.hasOwn(languages, name)
}

const reasons = { en: reasonTexts, nl: reasonsNl } as const satisfies Record<Language, ReasonTexts>

const explaining = { en: explainTexts, nl: explainTextsNl } as const satisfies Record<Language, ExplainTexts>

export const explainTextsFor = (t: Texts): ExplainTexts => explaining[t.language.code as Language]

/** A reason as a sentence of the reader's language, with a capital; the name walhook has none. */
export function reasonText(t: Texts, reason: Reason): string {
  const sentence = sentenceOf(reason, reasons[t.language.code as Language])
  if (sentence.startsWith('walhook')) return sentence
  return sentence.charAt(0).toUpperCase() + sentence.slice(1)
}

/** The meaning of a capture code in another language; null in English. */
export function captureText(t: Texts, code: string | undefined): string | null {
  if (t.language.code !== 'nl' || code === undefined) return null
  return Object.hasOwn(captureCodesNl, code) ? captureCodesNl[code as CaptureCode] : null
}

/** The same for what a backfill or resync waits for, or failed by. */
export function pageText(t: Texts, code: PageCode | null): string | null {
  return t.language.code === 'nl' && code !== null ? pageCodesNl[code] : null
}

/** The same for an object that the source has dropped. */
export function lostText(t: Texts, lost: Lost): string | null {
  return t.language.code === 'nl' ? lostSentence(lost, lostNl) : null
}

/** The same for a problem by which a mapping file was refused. */
export function refusalText(t: Texts, { code, what }: Problem): string | null {
  const text = t.language.code === 'nl' ? refusalsNl[code] : undefined
  return text === undefined ? null : `${what}: ${text}`
}

/** The same for the reason of a gap. */
export function gapText(t: Texts, { reason, tableName }: Pick<Gap, 'reason' | 'tableName'>): string | null {
  if (t.language.code !== 'nl') return null
  const text = gapReasonsNl.get(reason) ?? null
  return text !== null && tableName !== null ? `${tableName}: ${text}` : text
}
