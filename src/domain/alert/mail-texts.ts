import type { LanguageCode } from '../access/language.ts'
import type { MailTexts } from './mail-facts.ts'
import { mailTextsEn } from './mail-texts-en.ts'
import { mailTextsNl } from './mail-texts-nl.ts'

/** The texts of emails by language. */
export const mailTexts: Record<LanguageCode, MailTexts> = { en: mailTextsEn, nl: mailTextsNl }

const locales = { en: 'en-GB', nl: 'nl-NL' } as const satisfies Record<LanguageCode, string>

/** `1 January 2026 at 12:00:00 UTC`: the reader's time zone is unknown. */
export function mailMoment(language: LanguageCode, at: Date): string {
  const format = { dateStyle: 'long', timeStyle: 'medium', timeZone: 'UTC' } as const
  return `${new Intl.DateTimeFormat(locales[language], format).format(at)} UTC`
}
