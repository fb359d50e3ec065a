import {
  askAgainAfterMs,
  isOfDomain,
  isRecipientLink,
  type RecipientState,
  recipientKey,
  recipientState,
} from '../../domain/alert/recipient.ts'
import { because } from '../../domain/shown/reason.ts'
import type { Webhook } from '../../domain/webhook/webhook.ts'
import * as addresses from '../../outbox/records/mail-addresses.ts'
import type { Control } from '../kit/control.ts'
import { conflict, notFound, type Result } from '../kit/result.ts'

/** Who gets alerts about a webhook by mail, or may. */
export type Recipient = {
  readonly address: string
  readonly state: RecipientState
  /** When walhook last sent it a mail that asks for confirmation. */
  readonly askedAt: Date | null
}

type WithMain = Pick<Control, 'cells' | 'trustedDomains'>
type Of = Pick<Webhook, 'tenant' | 'alertTo'>

/** The addresses of webhooks of tenants, which are asked if they are new. */
export async function noteRecipients(
  { cells, trustedDomains }: WithMain,
  webhooks: readonly Of[],
): Promise<void> {
  const all = webhooks.flatMap(({ tenant, alertTo }) =>
    tenant === null ? [] : alertTo.map(address => ({ tenant, address })),
  )
  await addresses.noteAddresses(
    cells.main.outbox,
    all.filter(({ address }) => !isOfDomain(address, trustedDomains)),
  )
}

/** The recipients of a webhook. Those of one without a tenant, and of the operator's domains, need no confirmation. */
export async function recipientsOf(
  { cells, trustedDomains }: WithMain,
  { tenant, alertTo }: Of,
): Promise<Recipient[]> {
  if (alertTo.length === 0) return []
  const known =
    tenant === null
      ? new Map<string, addresses.MailAddress>()
      : await addresses.findAddresses(cells.main.outbox, tenant, alertTo)
  return alertTo.map(address => {
    const isTrusted = tenant === null || isOfDomain(address, trustedDomains)
    const row = known.get(recipientKey(address)) ?? null
    return {
      address,
      state: isTrusted ? 'confirmed' : recipientState(row),
      askedAt: isTrusted ? null : (row?.askedAt ?? null),
    }
  })
}

/** Asks a pending recipient again. One that is confirmed is not asked. */
export async function askRecipient(control: WithMain, webhook: Of, address: string): Promise<Result<null>> {
  const recipient = (await recipientsOf(control, webhook)).find(
    one => recipientKey(one.address) === recipientKey(address),
  )
  if (!recipient) return notFound('recipient', address)
  if (recipient.state === 'stopped') return conflict(because('recipient.stopped'))
  if (recipient.state === 'confirmed' || webhook.tenant === null) return { ok: true, value: null }
  await noteRecipients(control, [webhook])
  const { outbox } = control.cells.main
  const known = await addresses.findAddresses(outbox, webhook.tenant, [address])
  const { id, askAt } = known.get(recipientKey(address))!
  const isAsked = askAt !== null || (await addresses.askAgain(outbox, id, askAgainAfterMs))
  return isAsked
    ? { ok: true, value: null }
    : conflict(because('recipient.asked', { minutes: askAgainAfterMs / 60_000 }))
}

/** The address of a link in a mail, or null. */
export async function openRecipient(
  { cells, sealKey }: Pick<Control, 'cells' | 'sealKey'>,
  id: number,
  key: string,
): Promise<{ readonly id: number; readonly address: string; readonly state: RecipientState } | null> {
  const row = await addresses.findAddress(cells.main.outbox, id)
  if (!row || !isRecipientLink(sealKey, row, key)) return null
  return { id, address: row.address, state: recipientState(row) }
}

/** What the owner of an address says, on the page of a link. */
export async function decideRecipient(
  { cells }: Pick<Control, 'cells'>,
  id: number,
  wantsMails: boolean,
): Promise<void> {
  await addresses.decideAddress(cells.main.outbox, id, wantsMails)
}
