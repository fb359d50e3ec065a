import { type CaptureCode, mendOf } from '../capture/capture-code.ts'
import type { MailTexts } from './mail-facts.ts'

const webhooks = (count: number) => (count === 1 ? '1 webhook' : `${count} webhooks`)
const fixOf = ({ code }: { readonly code: string | null }) => (code ? mendOf(code as CaptureCode) : null)

export const mailTextsEn: MailTexts = {
  webhook: (id, name) => `Webhook ${id} (${name})`,
  alerts: {
    'webhook.failing': {
      what: ({ name }) => `${name} is failing`,
      fix: () => 'read its log, then fix the receiver',
      many: count => `${webhooks(count)} failing`,
    },
    'webhook.recovered': {
      what: ({ name }) => `${name} has recovered`,
      fix: () => null,
      many: count => `${webhooks(count)} recovered`,
    },
    'webhook.disabled': {
      what: ({ name, isGone }) =>
        `${name} was disabled: ${isGone ? 'its receiver answered 410 Gone' : 'its receiver accepted no request for more than five days'}`,
      fix: () => 'fix the receiver, then activate the webhook again',
      many: count => `${webhooks(count)} disabled`,
    },
    'delivery.dead': {
      what: ({ name, count }) => `${name} has ${count} ${count === 1 ? 'dead letter' : 'dead letters'}`,
      fix: () => 'fix the receiver, then choose “Resend all failed” on the Log page of the webhook',
      many: count => `${webhooks(count)} with dead letters`,
    },
    'capture.lost': {
      what: ({ slot }) => `Changes were lost (slot ${slot})`,
      fix: fixOf,
      many: () => 'changes were lost',
    },
    'capture.blocked': {
      what: ({ slot }) => `Capture is blocked (slot ${slot})`,
      fix: fixOf,
      many: () => 'capture is blocked',
    },
    'capture.lagging': {
      what: ({ slot }) => `Capture is lagging (slot ${slot})`,
      fix: () =>
        'none, if it catches up. Otherwise check the Health page: the source writes faster than walhook stores, or a database is slow',
      many: () => 'capture is lagging',
    },
  },
  since: at => `Since: ${at}`,
  until: at => `Until: ${at}`,
  line: (what, at) => `${what}, since ${at}`,
  lost: (table, reason) => `Lost: ${table ?? 'changes of all tables'} (${reason})`,
  fix: what => `Fix: ${what}`,
  one: (alert, incidentId) => `Alert ${alert}, incident ${incidentId}. walhook sends one email for it.`,
  more: count => `and ${count} more`,
  together: count =>
    `${count} alerts in one email: after five emails within an hour, walhook sends one in ten minutes.`,
  otherWay: 'If a token is asked for there, open Couplings from your application instead.',
  stop: url => `Stop these emails: ${url}`,
  confirm: {
    subject: 'Confirm this address for alerts',
    who: url => `Somebody who uses walhook at ${url} wants it to send alerts about webhooks to this address.`,
    open: 'To get them, open this page and confirm:',
    otherwise:
      'If you do not expect this, do nothing: walhook sends no alerts to an address that is not confirmed. The same page stops such emails for good.',
  },
}
