export const alerts = {
  alerts: {
    title: 'Alerts',
    hint: 'Notifications about walhook, sent to this webhook, or by email about this webhook.',
    triggers: 'Alerts sent to this webhook',
    triggersHint:
      'About all other webhooks and about capture. A webhook gets no alerts about itself or about the delivery of alerts.',
    mail: 'Email alerts about this webhook to',
    mailHint:
      'Email addresses, separated by commas. walhook sends one email when the webhook has failed for a minute, has recovered, is disabled, or has dead letters.',
    short: 'Alerts',
    of: {
      'webhook.failing': 'A webhook is failing',
      'webhook.recovered': 'A webhook has recovered',
      'webhook.disabled': 'A webhook was disabled',
      'delivery.dead': 'New dead letters',
      'capture.lost': 'Changes were lost',
      'capture.blocked': 'Capture is blocked',
      'capture.lagging': 'Capture is lagging',
    },
    about: { webhook: 'webhook', delivery: 'webhook', capture: 'slot' },
    mailsFailed: (failed: number, givenUp: number, error: string) =>
      `Retrying: ${failed}. Given up: ${givenUp}. Last error: ${error}.`,
    mailsWait: (waiting: number) =>
      `Pending: ${waiting}. No process with an SMTP server runs: set WALHOOK_SMTP_URL and WALHOOK_MAIL_FROM.`,
    unasked: {
      noPublicUrl: (count: number) =>
        `Addresses that wait for the public URL of walhook: ${count}. The email that asks has a link: set WALHOOK_URL.`,
      noServer: (count: number) =>
        `Addresses that wait for an SMTP server: ${count}. Set WALHOOK_SMTP_URL and WALHOOK_MAIL_FROM.`,
      failed: (count: number, error: string) =>
        `Emails that the SMTP server did not accept: ${count}. Last error: ${error}. Check WALHOOK_SMTP_URL and WALHOOK_MAIL_FROM.`,
    },
  },
  recipients: {
    title: 'Recipients of emails',
    hint: 'An address gets alerts about this webhook once its owner has confirmed it.',
    states: {
      asking: { word: 'Asking', what: 'walhook is about to ask the owner by email.' },
      failed: { word: 'Failed', what: 'The mail server did not accept the email that asks the owner' },
      asked: { word: 'Asked', what: 'The owner confirms by the link in the email, which may be among spam.' },
      confirmed: { word: 'Confirmed', what: 'Gets alerts.' },
      stopped: {
        word: 'Stopped',
        what: 'The owner has stopped these emails, and can start them again by the link in an earlier one.',
      },
    },
    askedAt: 'Sent',
    failedMend: 'Check the address. If it is right, the operator of walhook must check WALHOOK_SMTP_URL.',
    nextAt: 'walhook retries at',
    noRetry: 'walhook does not retry by itself.',
    again: 'Ask again',
    asked: 'walhook sends the email with the link again.',
    pageTitle: 'Alerts by email',
    decided: {
      nothing: (address: string) =>
        `Somebody wants walhook to send alerts about webhooks to ${address}. walhook sends none until you confirm it.`,
      confirmed: (address: string) => `walhook sends alerts about webhooks to ${address}.`,
      stopped: (address: string) => `walhook sends no alerts to ${address}, and does not ask again.`,
    },
    confirm: 'Send me alerts',
    stop: 'Send me nothing',
    unknown: 'This link does not work',
    unknownWhat: 'Open the link in the newest email from walhook.',
  },
  managed: {
    badge: 'As code',
    notice: (source: string) =>
      `This webhook is managed as code, in ${source}. Change it there: the next “walhook apply” overwrites changes made here.`,
    takeOver: 'Manage here',
    takeOverHint:
      'You can then change it here. Remove it from the file as well: otherwise the next apply takes it back.',
    taken: 'You now manage this webhook here.',
  },
}
