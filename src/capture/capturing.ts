import type { EntityMapping } from '../domain/mapping/mapping.ts'
import type { TraceAppends } from '../domain/shown/spans.ts'
import type { Outbox } from '../outbox/database/database.ts'
import type { Log } from '../runtime/log.ts'
import type { PagePace } from './backfill/paged-work.ts'
import type { Link } from './link.ts'
import type { createLearner } from './source/learn-catalogue.ts'
import type { Source } from './source/source.ts'
import type { Status } from './status.ts'
import type { AppendedEvents, Stored } from './store/storing.ts'

export type CaptureOptions = {
  readonly source: Source
  readonly outbox: Outbox
  readonly slotName: string
  readonly publicationName: string
  readonly mapping: readonly EntityMapping[]
  readonly nowMs: () => number
  readonly log: Log
  readonly onStored: (stored: Stored) => void
  /** What a statement of capture has been waiting for lately, in words. */
  readonly waitsFor?: () => string | null
  /** Called after each commit that has made events visible, for whoever delivers in this process. */
  readonly onAppended?: (appended: AppendedEvents) => void
  /** Null or absent: nothing is traced. */
  readonly trace?: TraceAppends | null
  /** How often the tables and the publication are compared with the mapping while streaming. */
  readonly watchMs?: number
  /** How often it is looked for backfills and resyncs. */
  readonly pagePace?: PagePace
  /** How often a probe is sent whatever the source does; null or absent: only where other WAL was written. */
  readonly probeIntervalMs?: number | null
}

/** What outlives a connection. */
export type Capturing = ReturnType<typeof createLearner> & {
  readonly options: CaptureOptions
  readonly status: Status
  readonly link: Link
}
