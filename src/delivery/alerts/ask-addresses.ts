import type { LanguageCode } from '../../domain/access/language.ts'
import { askingMail, domainOf, mailScheduleMs } from '../../domain/alert/mail-text.ts'
import { recipientPath } from '../../domain/alert/recipient.ts'
import type { SealKey } from '../../domain/webhook/seal.ts'
import type { Outbox } from '../../outbox/database/database.ts'
import { awaitPublicUrl, settleAsk, takeToAsk } from '../../outbox/records/mail-addresses.ts'
import type { Log } from '../../runtime/log.ts'
import type { MailSender } from './mail.ts'

const atOnce = 5

/** Asks the addresses that tenants have given whether they want alerts. Without a public URL there is no link, and they wait for it. */
export async function askAddresses({
  main,
  mail,
  from,
  sealKey,
  publicUrl,
  language,
  log,
}: {
  readonly main: Outbox
  readonly mail: MailSender
  readonly from: string
  readonly sealKey: SealKey
  readonly publicUrl: string | null
  /** For readers whose own is unknown. */
  readonly language: LanguageCode
  readonly log: Log
}): Promise<void> {
  if (publicUrl === null) return await awaitPublicUrl(main)
  const due = await takeToAsk(main, atOnce)
  await Promise.all(
    due.map(async one => {
      const { id, address, attempts, takenAt } = one
      const error = await mail.send({
        to: address,
        ...askingMail(recipientPath(sealKey, one), { publicUrl, language: one.language ?? language }),
        // Mail programs hide a mail whose id they know.
        messageId: `<walhook.address.${id}.${takenAt!.getTime()}@${domainOf(from)}>`,
      })
      const retryMs = error === null ? null : (mailScheduleMs[attempts - 1] ?? null)
      await settleAsk(main, id, { error, retryMs })
      if (error === null) log.info('alert.address_asked', { address_id: id })
      else log.error('alert.address_not_asked', { address_id: id, reason: error, next_in_ms: retryMs })
    }),
  )
}
