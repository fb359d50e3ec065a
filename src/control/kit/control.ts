import type { Actor } from '../../domain/access/audit.ts'
import type { Role } from '../../domain/access/role.ts'
import type { Attempt } from '../../domain/delivery/attempt.ts'
import type { ShownPace } from '../../domain/delivery/pace.ts'
import type { AlertTrigger } from '../../domain/event/alert.ts'
import type { BackfillAction } from '../../domain/event/event.ts'
import type { Labels } from '../../domain/event/label.ts'
import type { EntityShape } from '../../domain/event-types/shape.ts'
import type { Untold } from '../../domain/mapping/untold.ts'
import type { Reason } from '../../domain/shown/reason.ts'
import type { Problem } from '../../domain/value/problem.ts'
import type { SealKey } from '../../domain/webhook/seal.ts'
import type { Sealed } from '../../domain/webhook/webhook-secrets.ts'
import type { EarlyRetries } from '../../outbox/aside/early-retries.ts'
import type { Outbox } from '../../outbox/database/database.ts'
import type { LoggedAttempt } from '../../outbox/reading/attempts.ts'
import type { TestPlaces } from './test-places.ts'

/** What capture in this process is doing, and where the source stands. */
export type CaptureStatus = {
  readonly state: string
  readonly reason: string | null
  /** What a person can do, where there is something, by a code. */
  readonly code?: string
  readonly mend?: string
  readonly slotName: string
  /** The source's side; null where it can't be asked now. */
  readonly source: {
    readonly walEnd: bigint
    readonly confirmedLsn: bigint | null
    readonly heldBackBytes: number | null
  } | null
  /** How long the last probe took from the source's WAL to its place behind everything stored, in ms. */
  readonly probeMs: number | null
}

/** The mapping of this process: since when it is in use, and the last file that was refused since then, with every reason. */
export type MappingState = {
  readonly file: string | null
  readonly loadedAtMs: number
  readonly refused: { readonly atMs: number; readonly problems: readonly Problem[] } | null
}

/**
 * What the operations of an admin work with. What other folders do (judging a target, reading the source,
 * sending) is handed over as functions.
 */
export type Control = {
  readonly outbox: Outbox
  /** The outbox's clock. */
  readonly nowMs: () => number
  readonly sealKey: SealKey
  /** The entity types of the mapping, in its order. */
  readonly entityTypes: readonly string[]
  /** Those of them whose entities belong to tenants. */
  readonly tenantTypes: readonly string[]
  /** The fields that entities are called by, by type. */
  readonly labels: Labels
  /** The alerts that a webhook may get. */
  readonly alerts: readonly AlertTrigger[]
  /** How often a delivery is tried before it is given up. */
  readonly mostAttempts: number
  /** Of the slot that is captured. */
  readonly slotName: string
  /** What a backfill of an entity type tells its rows as, where nobody says otherwise. */
  readonly backfillAs: (entityType: string) => BackfillAction
  /** The entity types whose tables do not give the values before an update. */
  readonly readUntold?: () => Promise<Untold>
  /** What the mapping names and the source has dropped, in words; null where the source can't be asked now. */
  readonly readMappingLost?: () => Promise<readonly string[] | null>
  readonly mappingState?: () => MappingState
  /** The names of each entity type's fields, as the source's tables are now. */
  readonly readFields: () => Promise<ReadonlyMap<string, readonly string[]>>
  /** What the events of each entity type hold, as the source's tables are now. */
  readonly readShapes: () => Promise<readonly EntityShape[]>
  /** Judges by the same rule as every delivery. */
  readonly judgeTarget: (
    url: string,
  ) => Promise<{ ok: true; url: URL } | { ok: false; reason: string; why: Reason }>
  /** How many rows an entity's table has by Postgres's statistics; null where that can't be told. */
  readonly readRowsEstimate?: (entityType: string) => Promise<number | null>
  /** An entity as it is now; null where there is none. */
  readonly readEntity: (
    entityType: string,
    key: string,
  ) => Promise<{ entityId: string; entityIdJson: string; resultJson: string; tenant: string | null } | null>
  readonly sendTest: (
    target: { webhookId: number; url: string; sealed: Sealed; traceparent?: boolean },
    message: { entityType: string; entityId: string; body: string },
  ) => Promise<LoggedAttempt>
  /** The same to a target that is not saved: it is not in the log. */
  readonly tryTest: (
    target: { webhookId: number; url: string; sealed: Sealed; traceparent?: boolean },
    message: { entityType: string; entityId: string; body: string },
  ) => Promise<Attempt>
  readonly testPlaces: TestPlaces
  /** At what pace this process sends to a webhook; null where it has sent it nothing lately, or sends nothing at all. */
  readonly paceOf: (webhookId: number) => ShownPace | null
  /** How many requests a webhook may have in flight at the best. */
  readonly mostInFlight: number
  readonly earlyRetries: EarlyRetries
  readonly captureStatus: () => Promise<CaptureStatus>
  /** The part of it that needs no database. */
  readonly captureState: () => Pick<CaptureStatus, 'state' | 'reason' | 'code' | 'slotName'>
  readonly randomBytes: (size: number) => Buffer
  /** By what the configured token is known; null: there is none. */
  readonly adminMac: Buffer | null
  /** Where people reach walhook. */
  readonly publicUrl: string
}

export type { LoggedAttempt }

/** Who asks, and what they may do. */
export type Caller = Actor & {
  readonly role: Role
  /** Of whoever signed in at the OpenID provider: who they are there. */
  readonly subject?: string
}

/** Whoever may start walhook's commands. */
export const commandLine: Caller = {
  kind: 'command line',
  name: 'command line',
  tokenId: null,
  userId: null,
  role: 'admin',
  tenant: null,
}
