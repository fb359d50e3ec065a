import { en, type Texts } from './en.ts'
import { nl } from './nl.ts'

export const languages = { en, nl } as const satisfies Record<string, Texts>
export type Language = keyof typeof languages

/**
 * The texts for a reader: in the language that they have chosen here, else in the first of their browser's that there
 * is, else in English. https://www.rfc-editor.org/rfc/rfc9110#field.accept-language
 */
export function textsFor(chosen: string | undefined, acceptLanguage: string | undefined): Texts {
  if (chosen !== undefined && isLanguage(chosen)) return languages[chosen]
  const wanted = (acceptLanguage ?? '')
    .split(',')
    .map(part => {
      const [tag = '', ...params] = part
        .trim()
        .toLowerCase()
        .split(/\s*;\s*/)
      const quality = params.find(param => param.startsWith('q='))
      return { language: tag.split('-')[0]!, quality: quality ? Number(quality.slice(2)) : 1 }
    })
    .filter(({ quality }) => quality > 0)
    .sort((a, b) => b.quality - a.quality)
  const found = wanted.map(({ language }) => language).find(isLanguage)
  return languages[found ?? 'en']
}

export function isLanguage(name: string): name is Language {
  return Object.hasOwn(languages, name)
}
