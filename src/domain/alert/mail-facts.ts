import type { AlertTrigger } from '../event/alert.ts'

/** What the sentences about an alert name. */
export type MailFacts = {
  /** `Webhook 5 (CRM)`; empty for capture. */
  readonly name: string
  readonly slot: string
  readonly count: number
  readonly isGone: boolean
  /** How to fix capture, if its problem has a code. */
  readonly code: string | null
}

type Sentences = {
  what(facts: MailFacts): string
  /** Null: there is nothing to do. */
  fix(facts: MailFacts): string | null
  /** In the subject of a mail with many alerts. */
  many(count: number): string
}

export type MailTexts = {
  webhook(id: number, name: string): string
  readonly alerts: { readonly [Alert in AlertTrigger]: Sentences }
  since(at: string): string
  until(at: string): string
  /** `since` in the middle of a sentence. */
  line(what: string, at: string): string
  lost(table: string | null, reason: string): string
  fix(what: string): string
  one(alert: string, incidentId: number): string
  more(count: number): string
  together(count: number): string
  /** How else a tenant's reader gets to the page of the link above. */
  readonly otherWay: string
  stop(url: string): string
  readonly confirm: {
    readonly subject: string
    who(url: string): string
    readonly open: string
    readonly otherwise: string
  }
}
