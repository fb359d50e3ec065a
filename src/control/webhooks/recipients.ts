import type { LanguageCode } from '../../domain/access/language.ts'
import {
  type AskWait,
  askAgainAfterMs,
  isOfDomain,
  isRecipientLink,
  type RecipientState,
  recipientKey,
  recipientState,
} from '../../domain/alert/recipient.ts'
import { because } from '../../domain/shown/reason.ts'
import { maskedAddress } from '../../domain/webhook/mail-address.ts'
import type { Webhook } from '../../domain/webhook/webhook.ts'
import { transaction } from '../../outbox/database/database.ts'
import { recordAudit } from '../../outbox/records/audit.ts'
import * as addresses from '../../outbox/records/mail-addresses.ts'
import type { Caller, Control } from '../kit/control.ts'
import { conflict, notFound, type Result } from '../kit/result.ts'

/** Who gets alerts about a webhook by mail, or may. */
export type Recipient = {
  readonly address: string
  readonly state: RecipientState
  /** Why it is not asked yet; null: no obstacle. */
  readonly waitsFor: AskWait | null
  /** Why the mail server did not accept the email that asks. */
  readonly reason: string | null
  /** When walhook retries; null: only on request. */
  readonly nextAt: Date | null
  /** When the mail server last accepted one. */
  readonly askedAt: Date | null
}

type WithMain = Pick<Control, 'cells' | 'trustedDomains' | 'mailProblems'>
type Of = Pick<Webhook, 'tenant' | 'alertTo'>

/** The addresses of webhooks of tenants, which are asked if they are new. */
export async function noteRecipients(
  { cells, trustedDomains }: Pick<Control, 'cells' | 'trustedDomains'>,
  { language }: Pick<Caller, 'language'>,
  webhooks: readonly Of[],
): Promise<void> {
  const all = webhooks.flatMap(({ tenant, alertTo }) =>
    tenant === null ? [] : alertTo.map(address => ({ tenant, address })),
  )
  await addresses.noteAddresses(
    cells.main.outbox,
    all.filter(({ address }) => !isOfDomain(address, trustedDomains)),
    language ?? null,
  )
}

/** The recipients of a webhook. Those of one without a tenant, and of the operator's domains, need no confirmation. */
export async function recipientsOf(control: WithMain, { tenant, alertTo }: Of): Promise<Recipient[]> {
  const { cells, trustedDomains } = control
  if (alertTo.length === 0) return []
  const known =
    tenant === null
      ? new Map<string, addresses.MailAddress>()
      : await addresses.findAddresses(cells.main.outbox, tenant, alertTo)
  return alertTo.map(address => {
    if (tenant === null || isOfDomain(address, trustedDomains)) return { ...trusted, address }
    const row = known.get(recipientKey(address)) ?? null
    const state = recipientState(row)
    return {
      address,
      state,
      waitsFor: state === 'asking' ? waitOf(control, row) : null,
      reason: state === 'failed' ? row!.error : null,
      nextAt: state === 'failed' ? row!.askAt : null,
      askedAt: row?.askedAt ?? null,
    }
  })
}

const trusted = { state: 'confirmed', waitsFor: null, reason: null, nextAt: null, askedAt: null } as const

/** A process that sends emails knows what they lack; others infer it from unsent ones. */
function waitOf({ mailProblems }: WithMain, row: addresses.MailAddress | null): AskWait | null {
  return mailProblems ?? row?.waitsFor ?? (row?.isOverdue ? 'smtp_server' : null)
}

/** Asks an undecided recipient again, unless walhook will ask anyway. */
export async function askRecipient(
  control: WithMain,
  caller: Caller,
  webhook: Of & Pick<Webhook, 'id'>,
  address: string,
): Promise<Result<null>> {
  const key = recipientKey(address)
  const recipient = (await recipientsOf(control, webhook)).find(one => recipientKey(one.address) === key)
  if (!recipient) return notFound('recipient', address)
  const { state, waitsFor } = recipient
  if (state === 'stopped') return conflict(because('recipient.stopped'))
  if (waitsFor !== null) return conflict(because(`recipient.${waitsFor}`))
  if (state === 'asking') await noteRecipients(control, caller, [webhook])
  if (state !== 'asked' && state !== 'failed') return { ok: true, value: null }
  const { outbox } = control.cells.main
  const tenant = webhook.tenant!
  const { id } = (await addresses.findAddresses(outbox, tenant, [address])).get(key)!
  const isAskedNow = await transaction(outbox.pool, async client => {
    if (!(await addresses.askAgain(client, id, askAgainAfterMs))) return false
    const to = { address: maskedAddress(address) }
    await recordAudit(client, caller, 'recipient.asked', { webhookId: webhook.id, tenant, to })
    return true
  })
  // A recent failure is retried soon anyway.
  return isAskedNow || state === 'failed'
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
  decided: { readonly wantsMails: boolean; readonly language: LanguageCode },
): Promise<void> {
  await addresses.decideAddress(cells.main.outbox, id, decided)
}
