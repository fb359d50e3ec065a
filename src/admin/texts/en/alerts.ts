/** Alerts. */
export const alerts = {
  alerts: {
    title: 'Alerts',
    hint: 'What walhook tells of itself: to this webhook, or by mail about this webhook.',
    triggers: 'Alerts sent to this webhook',
    triggersHint:
      'About every other webhook, and about capture. Never about this webhook itself, nor about the delivery of an alert.',
    mail: 'Mail about this webhook to',
    mailHint:
      'E-mail addresses, separated by commas. One mail when the webhook fails for a minute, has recovered, is disabled, or has dead letters.',
    short: 'Alerts',
    of: {
      'webhook.failing': 'A webhook is failing',
      'webhook.recovered': 'A webhook has recovered',
      'webhook.disabled': 'A webhook was disabled',
      'delivery.dead': 'Deliveries are dead',
      'capture.lost': 'Changes are lost',
      'capture.blocked': 'Capture does not go on',
      'capture.lagging': 'Capture is behind',
    },
    about: { webhook: 'webhook', delivery: 'webhook', capture: 'slot' },
    mailsFailed: (failed: number, givenUp: number, error: string) =>
      `Failed and tried again: ${failed}. Given up: ${givenUp}. The last error: ${error}.`,
    mailsWait: (waiting: number) => `Waiting: ${waiting}. WALHOOK_SMTP_URL is not set.`,
  },
  managed: {
    badge: 'As code',
    notice: (source: string) =>
      `This webhook is managed as code, in ${source}. Change it there: the next “walhook apply” would undo a change made here.`,
    takeOver: 'Manage by hand',
    takeOverHint:
      'Then it can be changed here. Take it out of the file as well: otherwise the next apply takes it back.',
    taken: 'From now on this webhook is changed by hand.',
  },
}
