import { type LanguageCode, languageCodes } from '../domain/access/language.ts'
import { isMailAddress } from '../domain/webhook/mail-address.ts'
import { type Given, optional } from './variable.ts'

/** The variables of emails. */
export const mailVariables = {
  WALHOOK_SMTP_URL: optional<string>({
    means:
      'The SMTP server for [alerts](../guide/alerts.md) by mail: `smtp://user:password@host:587`, or `smtps://` for TLS from the first byte.',
    without: 'no mail is sent',
    mend: 'write it as smtp://user:password@host:587, or smtps://user:password@host:465',
    parse: text =>
      /^smtps?:\/\/[^/]/i.test(text) && URL.canParse(text) && new URL(text).hostname !== ''
        ? { value: text }
        : { wrong: ['not an SMTP URL'] },
  }),
  WALHOOK_MAIL_FROM: optional<string>({
    means: 'The sender of mails: an address, or a name with one in angle brackets.',
    without: 'needed where `WALHOOK_SMTP_URL` is set',
    mend: 'write one address: walhook@example.com, or walhook <walhook@example.com>',
    parse(text) {
      const [, address = text] = /^[^<>\r\n"]*<([^<>]*)>$/.exec(text) ?? []
      return isMailAddress(address) ? { value: text } : { wrong: [JSON.stringify(text)] }
    },
  }),
  WALHOOK_ALERT_TO: {
    means:
      'The recipients of mails about capture: addresses, separated by commas. Mails about a webhook go to the addresses of the webhook.',
    default: '',
    mend: 'write email addresses, separated by commas',
    parse(text) {
      const all = text.split(',').map(one => one.trim())
      const addresses = all.filter(one => one !== '')
      const wrong = addresses.filter(one => !isMailAddress(one)).map(one => JSON.stringify(one))
      return wrong.length > 0 ? { wrong } : { value: [...new Set(addresses)] }
    },
  } satisfies Given<readonly string[]>,
  WALHOOK_MAIL_DOMAINS: {
    means:
      'Domains whose addresses get [alerts](../guide/alerts.md#by-email) about webhooks of tenants without a confirmation, separated by commas: `example.com`.',
    default: '',
    mend: 'write domains without *, each subdomain by itself, separated by commas: example.com, mail.example.com',
    parse(text) {
      const all = text.split(',').map(one => one.trim().toLowerCase())
      const domains = all.filter(one => one !== '')
      // A pattern would match nothing.
      const isDomain = (one: string) => isMailAddress(`a@${one}`) && !one.includes('*')
      const wrong = domains.filter(one => !isDomain(one)).map(one => JSON.stringify(one))
      return wrong.length > 0 ? { wrong } : { value: [...new Set(domains)] }
    },
  } satisfies Given<readonly string[]>,
  WALHOOK_MAIL_LANGUAGE: {
    means:
      'The language of emails, `en` or `nl`, to readers whose own is unknown. The owner of a tenant’s address chooses it where they confirm the address.',
    default: 'en',
    mend: `use one of ${languageCodes.join(', ')}`,
    parse: text =>
      (languageCodes as readonly string[]).includes(text)
        ? { value: text as LanguageCode }
        : { wrong: [JSON.stringify(text)] },
  } satisfies Given<LanguageCode>,
}
