import type { Texts } from '../texts/en.ts'
import { type Html, html } from './html.ts'

/**
 * A sentence that walhook or another program wrote in English. Readers of another language get its meaning in their own
 * (`translated`, where there is one), and the English one as a detail.
 */
export function original(t: Texts, english: string, translated: string | null = null): Html {
  if (t.language.code === 'en') return html`<p class="quiet">${english}</p>`
  return html`${translated !== null && html`<p>${translated}</p>`}<details class="exactly"><summary>${t.original}</summary><p lang="en">${english}</p></details>`
}
