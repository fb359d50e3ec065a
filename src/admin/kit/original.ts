import type { Texts } from '../texts/en.ts'
import { type Html, html } from './html.ts'

/**
 * An English sentence of walhook or another program. Readers of other languages get its meaning (`translated`, if known),
 * with the English as a detail.
 */
export function original(t: Texts, english: string, translated: string | null = null): Html {
  if (t.language.code === 'en') return html`<p class="quiet">${english}</p>`
  return html`${translated !== null && html`<p>${translated}</p>`}<details class="exactly"><summary>${t.original}</summary><p lang="en">${english}</p></details>`
}
