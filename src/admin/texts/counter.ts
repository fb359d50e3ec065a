/** The plural forms of a language, with # for the number. */
type PluralForms = Partial<Record<Intl.LDMLPluralRule, string>> & { readonly other: string }

/** Writes counts: `1 second`, `2,500 seconds`. https://cldr.unicode.org/index/cldr-spec/plural-rules */
export function counter(language: string, forms: PluralForms): (count: number) => string {
  const rules = new Intl.PluralRules(language)
  const format = new Intl.NumberFormat(language)
  return count => (forms[rules.select(count)] ?? forms.other).replace('#', format.format(count))
}
