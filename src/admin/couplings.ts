import { html } from './html.ts'
import { page } from './page.ts'

export const couplingsPages = [
  page({
    method: 'get',
    path: '/couplings',
    role: 'viewer',
    place: 'couplings',
    async handle({ t, may }) {
      return {
        show: 'page',
        title: t.couplings.title,
        actions: html`${may('admin') && html`<a class="button main" href="/couplings/new">${t.couplings.new}</a>`}`,
        body: html``,
      }
    },
  }),
]
