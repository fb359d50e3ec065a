import type { Actor } from '../../domain/access/audit.ts'
import type { LanguageCode } from '../../domain/access/language.ts'
import type { Role } from '../../domain/access/role.ts'
import type { MailProblem } from '../../domain/alert/recipient.ts'
import type { Lost } from '../../domain/capture/lost-texts.ts'
import type { Attempt } from '../../domain/delivery/attempt.ts'
import type { ShownPace } from '../../domain/delivery/pace.ts'
import type { AlertTrigger } from '../../domain/event/alert.ts'
import type { BackfillAction } from '../../domain/event/event.ts'
import type { Labels } from '../../domain/event/label.ts'
import type { EntityShape } from '../../domain/event-types/shape.ts'
import type { WithoutPrevious } from '../../domain/mapping/without-previous.ts'
import type { Reason } from '../../domain/shown/reason.ts'
import type { Problem } from '../../domain/value/problem.ts'
import type { SealKey } from '../../domain/webhook/seal.ts'
import type { Sealed } from '../../domain/webhook/webhook-secrets.ts'
import type { EarlyRetries } from '../../outbox/aside/early-retries.ts'
import type { Cells } from '../../outbox/cells/cells.ts'
import type { Outbox } from '../../outbox/database/database.ts'
import type { LoggedAttempt } from '../../outbox/reading/attempts.ts'
import type { TestLimiter } from './test-limiter.ts'

/** The state of capture in this process, and of the source. */
export type CaptureStatus = {
  readonly state: string
  readonly reason: string | null
  /** A code with a fix, if there is one. */
  readonly code?: string
  readonly mend?: string
  readonly slotName: string
  /** The source's side; null: it is unavailable. */
  readonly source: {
    readonly walEnd: bigint
    readonly confirmedLsn: bigint | null
    readonly heldBackBytes: number | null
  } | null
  /** The duration of the last probe from the source's WAL until everything before it was stored, in ms. */
  readonly probeMs: number | null
}

/** The mapping in use, since when, and the last refused file since then, with every reason. */
export type MappingState = {
  readonly file: string | null
  readonly loadedAtMs: number
  readonly refused: { readonly atMs: number; readonly problems: readonly Problem[] } | null
}

/**
 * What an admin's operations work with. Functions of other folders (checking a target, reading the source, sending) are passed
 * in.
 */
export type Control = {
  /** The outbox of the webhook that the operation is about; main's for everything else. */
  readonly outbox: Outbox
  readonly cells: Cells
  /** The outbox's clock. */
  readonly nowMs: () => number
  readonly sealKey: SealKey
  /** The entity types of the mapping, in its order. */
  readonly entityTypes: readonly string[]
  readonly tenantTypes: readonly string[]
  /** The label's fields, by entity type. */
  readonly labels: Labels
  /** The alerts that a webhook may subscribe to. */
  readonly alerts: readonly AlertTrigger[]
  /** The maximum attempts of a delivery. */
  readonly maxAttempts: number
  readonly slotName: string
  readonly backfillAs: (entityType: string) => BackfillAction
  /** The entity types whose tables do not record the values before an update. */
  readonly readWithoutPrevious?: () => Promise<WithoutPrevious>
  /** The objects of the mapping that the source has dropped; null: it is unavailable. */
  readonly readMappingLost?: () => Promise<readonly Lost[] | null>
  readonly mappingState?: () => MappingState
  /** The field names of each entity type, by the source's present tables. */
  readonly readFields: () => Promise<ReadonlyMap<string, readonly string[]>>
  /** The shape of each entity type's events, by the source's present tables. */
  readonly readShapes: () => Promise<readonly EntityShape[]>
  /** Checks a target by the rules of every delivery. */
  readonly checkTarget: (
    url: string,
  ) => Promise<{ ok: true; url: URL } | { ok: false; reason: string; why: Reason }>
  /** The row count of an entity's table by Postgres' statistics; null: unknown. */
  readonly readRowsEstimate?: (entityType: string) => Promise<number | null>
  /** An entity's present state; null: it does not exist. */
  readonly readEntity: (
    entityType: string,
    key: string,
  ) => Promise<{ entityId: string; entityIdJson: string; resultJson: string; tenant: string | null } | null>
  /** Sends a test, and logs it in the webhook's outbox. */
  readonly sendTest: (
    outbox: Outbox,
    target: { webhookId: number; url: string; sealed: Sealed; traceparent?: boolean },
    message: { entityType: string; entityId: string; body: string },
  ) => Promise<LoggedAttempt>
  /** Sends a test to unsaved settings, without logging it. */
  readonly tryTest: (
    target: { webhookId: number; url: string; sealed: Sealed; traceparent?: boolean },
    message: { entityType: string; entityId: string; body: string },
  ) => Promise<Attempt>
  readonly testLimiter: TestLimiter
  /** This process' pace of a webhook; null: no recent request, or it does not deliver. */
  readonly paceOf: (webhookId: number) => ShownPace | null
  /** The highest limit of a webhook's requests in flight. */
  readonly maxInFlight: number
  readonly earlyRetries: EarlyRetries
  /** The domains whose addresses get alerts without a confirmation. */
  readonly trustedDomains: readonly string[]
  /** What this process lacks to send emails; null: nothing, or other processes send them. */
  readonly mailProblems: MailProblem | null
  readonly captureStatus: () => Promise<CaptureStatus>
  /** The part that needs no database. */
  readonly captureState: () => Pick<CaptureStatus, 'state' | 'reason' | 'code' | 'slotName'>
  readonly randomBytes: (size: number) => Buffer
  /** Identifies the configured token; null: none. */
  readonly adminMac: Buffer | null
  readonly publicUrl: string
}

export type { LoggedAttempt }

/** The caller of an operation, and their rights. */
export type Caller = Actor & {
  readonly role: Role
  /** Of a user of the OpenID provider: the subject there. */
  readonly subject?: string
  /** The language of the pages; absent: a program calls. */
  readonly language?: LanguageCode
}

/** The user of walhook's commands. */
export const commandLine: Caller = {
  kind: 'command line',
  name: 'command line',
  tokenId: null,
  userId: null,
  role: 'admin',
  tenant: null,
}
