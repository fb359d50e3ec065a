import { type Finding, findingsOf } from '../../domain/shown/findings.ts'
import { type Span, spanUntil, type Traffic } from '../../domain/shown/traffic.ts'
import { countUnwell, type WebhookStates } from '../../domain/shown/webhook-states.ts'
import { minuteMs } from '../../domain/value/duration.ts'
import type { Outbox } from '../../outbox/database/database.ts'
import { readTraffic } from '../../outbox/figures/traffic.ts'
import { type MailTrouble, readMailTrouble } from '../../outbox/records/alert-mails.ts'
import { type AskTrouble, readAskTrouble } from '../../outbox/records/mail-addresses.ts'
import { hasRecipients } from '../../outbox/records/webhooks.ts'
import { overCells } from '../kit/cells.ts'
import type { Control } from '../kit/control.ts'
import { areResyncing } from './alarm.ts'
import { readStatus, type Status } from './status.ts'
import { sumMails, sumTraffic } from './sums.ts'
import { webhookStates } from './webhook-states.ts'

export type Health = {
  readonly status: Status
  /** The last hour by minute, and the last day by quarter of an hour, both without the current minute. */
  readonly hour: Traffic
  readonly day: Traffic
  /** The worst first. */
  readonly findings: readonly Finding[]
  readonly mails: MailTrouble
  readonly asking: AskTrouble
  readonly webhooks: WebhookStates
}

/** Cached answers, by bucket length. */
const known = new WeakMap<
  Outbox,
  Map<number, { readonly fromMs: number; readonly traffic: Promise<Traffic> }>
>()

/** The traffic up to the last whole minute, read once a minute for all readers. */
async function trafficUntil(
  control: Pick<Control, 'cells'>,
  nowMs: number,
  bucketMs: number,
  count: number,
): Promise<Traffic> {
  const { outbox } = control.cells.main
  const span = spanUntil(nowMs, bucketMs, count)
  const results = known.get(outbox) ?? new Map()
  known.set(outbox, results)
  const response = results.get(bucketMs)
  if (response?.fromMs === span.fromMs) return await response.traffic
  const traffic = readTrafficOf(control, span, null)
  results.set(bucketMs, { fromMs: span.fromMs, traffic })
  traffic.catch(() => results.delete(bucketMs))
  return await traffic
}

/** The traffic of a tenant, or of all (null), in the cells that answer. */
export async function readTrafficOf(
  control: Pick<Control, 'cells'>,
  span: Span,
  tenant: string | null,
): Promise<Traffic> {
  const { results } = await overCells(control, outbox => readTraffic(outbox, span, tenant))
  return sumTraffic(results.map(({ value }) => value))
}

async function readMails(control: Pick<Control, 'cells'>): Promise<MailTrouble> {
  const { results } = await overCells(control, outbox => readMailTrouble(outbox))
  return sumMails(results.map(({ value }) => value))
}

/** Whether webhooks have addresses for alerts, and this process, which would send them, has no SMTP server. */
async function lacksMail(control: Pick<Control, 'cells' | 'mailProblems'>): Promise<boolean> {
  if (control.mailProblems !== 'smtp_server') return false
  const { results } = await overCells(control, hasRecipients)
  return results.some(({ value }) => value)
}

/** The health of walhook for people: figures, traffic and findings. */
export async function readHealth(control: Control, nowMs: number): Promise<Health> {
  const [status, hour, day, mails, asking, isMailUnset, webhooks] = await Promise.all([
    readStatus(control),
    trafficUntil(control, nowMs, minuteMs, 60),
    trafficUntil(control, nowMs, 15 * minuteMs, 96),
    readMails(control),
    readAskTrouble(control.cells.main.outbox),
    lacksMail(control),
    webhookStates(control, null, nowMs),
  ])
  const delivered = hour.buckets.reduce((sum, bucket) => sum + bucket.delivered, 0)
  const failed = hour.buckets.reduce((sum, bucket) => sum + bucket.failed, 0)
  const openGaps = status.gaps.filter(({ resyncedAt }) => resyncedAt === null)
  const findings = findingsOf({
    captureState: status.capture.state,
    isSourceThere: status.capture.source !== null,
    heldBackBytes: status.capture.source?.heldBackBytes ?? null,
    hasOpenGap: openGaps.length > 0,
    isResyncing: areResyncing(openGaps, status.resyncs),
    isMappingLost: (status.mappingLost ?? []).length > 0,
    isMappingRefused: status.mapping !== null && status.mapping.refused !== null,
    isFanningOut: status.resyncs.some(({ fanOut }) => fanOut !== null),
    hasFailedBackfill: status.failedBackfills.length > 0,
    deliveriesWaiting: status.queue.deliveries,
    deliveriesDead: status.queue.deadDeliveries,
    hasMailTrouble: mails.failed + mails.givenUp + mails.waiting > 0,
    hasUnsetMails: isMailUnset,
    hasAskTrouble: asking.noPublicUrl + asking.noServer + asking.failed > 0,
    webhooksUnwell: countUnwell(webhooks),
    cellsAway: status.cells.filter(({ isAway }) => isAway).length,
    lastHour: { requests: delivered + failed, failed },
  })
  return { status, hour, day, findings, mails, asking, webhooks }
}
