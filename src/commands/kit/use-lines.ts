import type { Config } from '../../config/config.ts'
import { overCells } from '../../control/kit/cells.ts'
import { type CheckLine, failure, ok, warning } from '../../domain/capture/check-line.ts'
import { isAlertTrigger } from '../../domain/event/alert.ts'
import { tenantTypes } from '../../domain/mapping/mapping.ts'
import type { Outbox } from '../../outbox/database/database.ts'
import { type SettingsInUse, settingsInUse, together } from '../../outbox/figures/settings-in-use.ts'
import { type AskTrouble, readAskTrouble } from '../../outbox/records/mail-addresses.ts'
import { withCells } from './cells.ts'

/** What admins have set on the webhooks of all cells, and what has no effect because of the configuration or the mapping. */
export async function useLines(main: Outbox, config: Config): Promise<CheckLine[]> {
  const asking = await readAskTrouble(main)
  const read = await withCells(config, main, cells => overCells({ cells }, settingsInUse))
  if (!read.ok) return [...checkUse(await settingsInUse(main), asking, config), failure(read.problem)]
  const { results, away } = read.value
  return [...checkUse(together(results.map(({ value }) => value)), asking, config), ...away.map(awayLine)]
}

const awayLine = (cell: string): CheckLine =>
  warning(
    'cell',
    `cell ${cell}`,
    'does not answer: its webhooks are not checked, and get nothing until it does',
    'walhook cell list says why',
  )

function checkUse(
  { withRecipients, ofTenants, triggers }: SettingsInUse,
  asking: AskTrouble,
  { mail, mapping }: Pick<Config, 'mail' | 'mapping'>,
): CheckLine[] {
  const known = new Set(mapping.map(({ entityType }) => entityType))
  const unknown = triggers.filter(
    ({ trigger }) => !isAlertTrigger(trigger) && !known.has(trigger.slice(0, trigger.lastIndexOf('.'))),
  )
  return [
    recipientLine(withRecipients, asking, mail !== undefined),
    ...unknown.map(({ trigger, webhooks, first }) =>
      warning(
        'triggers',
        `trigger ${trigger}`,
        `${counted(webhooks)} (such as ${first}) with it, but the mapping has no such entity: nothing is sent for it`,
        'add the entity to the mapping (WALHOOK_CONFIG), or remove the trigger',
      ),
    ),
    ...(ofTenants > 0 && tenantTypes(mapping).length === 0
      ? [
          warning(
            'tenants',
            'webhooks of tenants',
            `${counted(ofTenants)}, but no entity of the mapping has a tenant: they get no events`,
            'give entities a tenant in the mapping (WALHOOK_CONFIG)',
          ),
        ]
      : []),
  ]
}

const counted = (webhooks: number) => (webhooks === 1 ? '1 webhook' : `${webhooks} webhooks`)

function recipientLine(webhooks: number, asking: AskTrouble, hasServer: boolean): CheckLine {
  const what = 'recipients of alerts'
  const no = (found: string, mend: string) => warning('recipients', what, found, mend)
  if (webhooks > 0 && !hasServer)
    return no(
      `${counted(webhooks)} with addresses for alerts, but walhook sends no emails: WALHOOK_SMTP_URL is not set`,
      'set WALHOOK_SMTP_URL and WALHOOK_MAIL_FROM for each process with the role delivery, or remove the addresses',
    )
  if (asking.noPublicUrl > 0)
    return no(
      `walhook could not ask ${asking.noPublicUrl} addresses of tenants to confirm: it does not know its public URL`,
      'set WALHOOK_URL for each process with the role delivery',
    )
  if (asking.noServer > 0)
    return no(
      `walhook could not ask ${asking.noServer} addresses of tenants to confirm: no process with an SMTP server runs`,
      'set WALHOOK_SMTP_URL and WALHOOK_MAIL_FROM for each process with the role delivery, and start it',
    )
  if (asking.failed > 0)
    return no(
      `the SMTP server did not accept the emails that ask ${asking.failed} addresses of tenants to confirm (${asking.lastError})`,
      'check WALHOOK_SMTP_URL and WALHOOK_MAIL_FROM, and the addresses',
    )
  return ok('recipients', what, webhooks === 0 ? 'no webhook has any' : `${counted(webhooks)} with addresses`)
}
