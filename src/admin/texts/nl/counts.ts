import { counter } from '../counter.ts'

export const seconds = counter('nl', { one: '# seconde', other: '# seconden' })
export const requests = counter('nl', { one: '# verzoek', other: '# verzoeken' })
export const webhookCount = counter('nl', { one: '# webhook', other: '# webhooks' })
