import { createHmac, timingSafeEqual } from 'node:crypto'
import type { SealKey } from '../webhook/seal.ts'

/**
 * An address that a tenant wants alerts to go to:
 *
 * | state | gets alerts | who moves it on |
 * |---|---|---|
 * | pending | no | its owner confirms, by the link in a mail |
 * | confirmed | yes | its owner stops it, by the link in each mail |
 * | stopped | no, and is not asked again | its owner confirms after all, by the same link |
 */
export type RecipientState = 'pending' | 'confirmed' | 'stopped'

export const recipientState = (
  row: { confirmedAt: Date | null; stoppedAt: Date | null } | null,
): RecipientState => (row?.stoppedAt ? 'stopped' : row?.confirmedAt ? 'confirmed' : 'pending')

/** The stored form: mail servers do not tell upper case from lower case. */
export const recipientKey = (address: string): string => address.toLowerCase()

/** Whether an address has one of these domains, which need no confirmation. */
export const isOfDomain = (address: string, domains: readonly string[]): boolean =>
  domains.includes(recipientKey(address.slice(address.lastIndexOf('@') + 1)))

/** Again by hand at the earliest. */
export const askAgainAfterMs = 10 * 60_000
/** Mails to strangers per day: by one tenant, and to one address. */
export const mostAskedPerDay = { ofTenant: 50, ofAddress: 5 }

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

/** The mail that asks an address. It holds nothing that a tenant has written, which could be an advertisement. */
export function askingMail(
  publicUrl: string,
  path: string,
): { readonly subject: string; readonly text: string } {
  const lines = [
    `Somebody who uses walhook at ${publicUrl} wants it to send alerts about webhooks to this address.`,
    '',
    'To get them, open this page and confirm:',
    `${publicUrl}${path}`,
    '',
    'If you do not expect this, do nothing: walhook sends no alerts to an address that is not confirmed. The same page stops such mails for good.',
  ]
  return { subject: '[walhook] Confirm this address for alerts', text: `${lines.join('\n')}\n` }
}
