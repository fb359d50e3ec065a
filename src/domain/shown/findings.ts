/** A slot that holds back more WAL than this deserves attention. */
export const muchHeldBackBytes = 1024 ** 3

const longQueue = 10_000
/** A share of fewer requests per hour means nothing. */
const leastRequests = 20

/** The findings of the Health page: act now, check, or just know. */
export const findings = {
  capture_lost: 'bad',
  capture_blocked: 'bad',
  no_source: 'bad',
  cell_away: 'bad',
  gap: 'bad',
  resyncing: 'warn',
  mapping_lost: 'warn',
  mapping_refused: 'warn',
  backfill_failed: 'warn',
  capture_starting: 'warn',
  capture_lagging: 'warn',
  much_held_back: 'warn',
  long_queue: 'warn',
  many_failures: 'warn',
  webhooks_unwell: 'warn',
  mails_failed: 'warn',
  mails_unset: 'warn',
  recipients_unasked: 'warn',
  fanning_out: 'note',
  dead: 'note',
} as const
export type Finding = keyof typeof findings

/** The present findings, the worst first. `failedShare` is of the last hour's requests. */
export function findingsOf(now: {
  readonly captureState: string
  readonly isSourceThere: boolean
  readonly heldBackBytes: number | null
  readonly hasOpenGap: boolean
  /** Whether every open gap is being resynced. */
  readonly isResyncing: boolean
  /** Whether the source dropped an object of the mapping. */
  readonly isMappingLost: boolean
  /** Whether the mapping file was refused at its last reload. */
  readonly isMappingRefused?: boolean
  readonly hasFailedBackfill: boolean
  /** Whether entities that show a changed row are sent page by page. */
  readonly isFanningOut?: boolean
  readonly deliveriesWaiting: number
  readonly deliveriesDead: number
  /** Whether mails of alerts fail, or wait without a server. */
  readonly hasMailTrouble?: boolean
  /** Whether webhooks have addresses for alerts, and this process lacks the SMTP server to send them. */
  readonly hasUnsetMails?: boolean
  /** Whether addresses of tenants could not be asked. */
  readonly hasAskTrouble?: boolean
  /** The number of failing or disabled webhooks. */
  readonly webhooksUnwell?: number
  /** The number of cells that do not answer. */
  readonly cellsAway?: number
  readonly lastHour: { readonly requests: number; readonly failed: number }
}): Finding[] {
  const { lastHour } = now
  const isLost = now.captureState === 'lost'
  const found: Record<Finding, boolean> = {
    capture_lost: isLost,
    capture_blocked: now.captureState === 'blocked',
    no_source: !now.isSourceThere,
    cell_away: (now.cellsAway ?? 0) > 0,
    gap: now.hasOpenGap && !isLost && !now.isResyncing,
    resyncing: now.hasOpenGap && !isLost && now.isResyncing,
    mapping_lost: now.isMappingLost,
    mapping_refused: now.isMappingRefused ?? false,
    backfill_failed: now.hasFailedBackfill,
    capture_starting: now.captureState === 'starting',
    capture_lagging: now.captureState === 'lagging',
    much_held_back: (now.heldBackBytes ?? 0) > muchHeldBackBytes,
    long_queue: now.deliveriesWaiting >= longQueue,
    many_failures: lastHour.requests >= leastRequests && lastHour.failed * 2 > lastHour.requests,
    webhooks_unwell: (now.webhooksUnwell ?? 0) > 0,
    mails_failed: now.hasMailTrouble ?? false,
    mails_unset: now.hasUnsetMails ?? false,
    recipients_unasked: now.hasAskTrouble ?? false,
    fanning_out: now.isFanningOut ?? false,
    dead: now.deliveriesDead > 0,
  }
  return (Object.keys(findings) as Finding[]).filter(finding => found[finding])
}
