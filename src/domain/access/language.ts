/** The languages of pages and emails. */
export const languageCodes = ['en', 'nl'] as const
export type LanguageCode = (typeof languageCodes)[number]
