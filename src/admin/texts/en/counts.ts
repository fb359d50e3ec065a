import { counter } from '../counter.ts'

export const seconds = counter('en', { one: '# second', other: '# seconds' })
export const requests = counter('en', { one: '# request', other: '# requests' })
export const webhookCount = counter('en', { one: '# webhook', other: '# webhooks' })
