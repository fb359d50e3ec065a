import type { EntityMapping } from '../domain/mapping/mapping.ts'
import type { TraceAppends } from '../domain/shown/spans.ts'
import type { Outbox } from '../outbox/database/database.ts'
import type { Log } from '../runtime/log.ts'
import type { PagedWork, PagePace } from './backfill/paged-work.ts'
import type { Link } from './link.ts'
import type { createCatalogueLoader } from './source/load-catalogue.ts'
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
  /** The slow statement that capture waits for, in words. */
  readonly waitsFor?: () => string | null
  /** Called after each commit of events, for delivery in this process. */
  readonly onAppended?: (appended: AppendedEvents) => void
  readonly receiversOf?: PagedWork['receiversOf']
  /** Null or absent: no tracing. */
  readonly trace?: TraceAppends | null
  /** The interval of comparing tables and publication with the mapping while streaming. */
  readonly watchMs?: number
  /** The pace of looking for backfills and resyncs. */
  readonly pagePace?: PagePace
  /** The interval of probes, also on an idle source; null or absent: only if other WAL was written. */
  readonly probeIntervalMs?: number | null
}

/** The state that outlives a connection. */
export type Capturing = ReturnType<typeof createCatalogueLoader> & {
  readonly options: CaptureOptions
  readonly status: Status
  readonly link: Link
}
