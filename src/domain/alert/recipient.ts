import { createHmac, timingSafeEqual } from 'node:crypto'
import type { SealKey } from '../webhook/seal.ts'

/**
 * An address that a tenant wants alerts to go to. Only a confirmed one gets them.
 *
 * | state     | what has happened                                                    | who moves it on                                          |
 * |-----------|----------------------------------------------------------------------|----------------------------------------------------------|
 * | asking    | walhook has yet to send the email that asks; `waitsFor` says why      | walhook sends it                                         |
 * | failed    | the mail server did not accept that email, for a `reason`             | walhook, at `nextAt`; null: an admin who asks again      |
 * | asked     | the mail server accepted the email                                    | its owner, by the link in it; an admin who asks again    |
 * | confirmed | its owner wants alerts                                                | its owner stops them, by the link in each alert          |
 * | stopped   | its owner wants none, and is not asked again                          | its owner confirms after all, by a link of before        |
 */
export const recipientStates = ['asking', 'failed', 'asked', 'confirmed', 'stopped'] as const
export type RecipientState = (typeof recipientStates)[number]

/** Why an address is not asked yet. */
export const askWaits = ['smtp_server', 'public_url', 'daily_limit'] as const
export type AskWait = (typeof askWaits)[number]
/** What is not configured: emails need a server, those with a link walhook's public URL as well. */
export type MailProblem = Exclude<AskWait, 'daily_limit'>

/** The state of a stored address; null: it is not stored yet. */
export function recipientState(
  row: {
    readonly askAt: Date | null
    readonly askedAt: Date | null
    readonly error: string | null
    readonly confirmedAt: Date | null
    readonly stoppedAt: Date | null
  } | null,
): RecipientState {
  if (row === null) return 'asking'
  if (row.stoppedAt) return 'stopped'
  if (row.confirmedAt) return 'confirmed'
  if (row.error !== null) return 'failed'
  return row.askAt === null && row.askedAt ? 'asked' : 'asking'
}

/** The stored form: mail servers do not tell upper case from lower case. */
export const recipientKey = (address: string): string => address.toLowerCase()

/** Whether an address has one of these domains, which need no confirmation. */
export const isOfDomain = (address: string, domains: readonly string[]): boolean =>
  domains.includes(recipientKey(address.slice(address.lastIndexOf('@') + 1)))

/** After an email, an admin can ask again this much later. */
export const askAgainAfterMs = 10 * 60_000
/** Mails that ask, per day: by one tenant, and to one address. */
export const maxAskedPerDay = { ofTenant: 50, ofAddress: 5 }

type Recipient = { readonly id: number; readonly tenant: string; readonly address: string }

const macOf = (key: Pick<SealKey, 'bytes'>, { id, tenant, address }: Recipient) =>
  createHmac('sha256', key.bytes)
    .update(JSON.stringify(['mail address', id, tenant, address]))
    .digest()

/** The path of the page where the owner of an address confirms or stops its mails. Only a mail to the address holds it. */
export const recipientPath = (key: SealKey, recipient: Recipient): string =>
  `/recipients/${recipient.id}?key=${macOf(key, recipient).toString('base64url')}`

/** Whether the text of a link is that of the address. */
export function isRecipientLink(key: SealKey, recipient: Recipient, text: string): boolean {
  const given = Buffer.from(text, 'base64url')
  return [key, key.older].some(one => {
    const mac = one && macOf(one, recipient)
    return mac && mac.length === given.length && timingSafeEqual(mac, given)
  })
}
