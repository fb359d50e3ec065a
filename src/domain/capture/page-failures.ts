import type { ErrorKind } from './capture-failures.ts'

/** Why a page of a backfill or resync failed, one code per fix: what one sees, and the fix. A code never changes its meaning. */
export const pageCodes = {
  'page.receiver_waits': {
    sees: 'A webhook that the rows are for cannot receive more now.',
    mend: 'do what the reason says: activate the webhook, give it the trigger, or let it work through its backlog. The backfill then continues by itself',
  },
  'page.receiver_gone': {
    sees: 'The webhook that the rows were for was deleted.',
    mend: 'start a backfill for another webhook, if it needs the rows',
  },
  'page.entity_gone': {
    sees: 'The mapping no longer has the entity, or its table was dropped.',
    mend: 'put the entity back into the mapping (WALHOOK_CONFIG) and restart walhook, or create its table again; then start again',
  },
  'page.source_problem': {
    sees: 'The tables cannot be read as they are.',
    mend: 'do what the reason says. walhook then continues by itself',
  },
  'page.unavailable': {
    sees: 'A database does not respond, refuses the connection or closes it.',
    mend: 'check that both databases run, can be reached and accept the role and its password: walhook check. walhook then continues by itself',
  },
  'page.timed_out': {
    sees: 'Reading or storing a page takes longer than a lock or a timeout allows.',
    mend: 'end the session with a lock on the table (walhook check names it). If there is none, create an index on the key, and on the owner column of each related table. walhook then continues by itself',
  },
  'page.failed': {
    sees: 'The same page fails each time, and not because of a single row.',
    mend: 'do what the reason says. A resync then continues by itself; start a backfill again: walhook backfill',
  },
} as const satisfies Record<string, { readonly sees: string; readonly mend: string }>

export type PageCode = keyof typeof pageCodes

/** How to fix it. */
export const pageMendOf = (code: PageCode): string => pageCodes[code].mend

/** The reason of a backfill or resync with its fix, one sentence each. */
export function describePageReason(reason: string, code: PageCode | null): string {
  return code === null ? reason : `${reason} (${code}). Fix: ${pageMendOf(code)}`
}

/** Thrown before reading, if tables can't be read as they are. */
export class Unfit extends Error {}

/** A failure of a page. `unfit`: the tables need a change; null: none of the others. */
export type PageFailureKind = ErrorKind | 'unfit' | null

/** Failures of one kind at one position: the key that the page begins after. */
export type PageFailures = {
  readonly kind: PageFailureKind
  readonly position: string
  readonly count: number
}

/** Adds a failure to the series, or begins a new one. */
export function addPageFailure(
  before: PageFailures | null,
  { kind, position }: Pick<PageFailures, 'kind' | 'position'>,
): PageFailures {
  const goesOn = before?.kind === kind && before.position === position
  return { kind, position, count: goesOn ? before.count + 1 : 1 }
}

/** This many failures of one kind at one position are no accident. */
const maxTries = 3

/**
 * What the failures of a page mean. `isFinal`: no retry can help. Everything else is retried for ever; a code says that a
 * person is needed, or may be.
 */
export function classifyPageFailures({ kind, count }: PageFailures): {
  readonly code: PageCode | null
  readonly isFinal: boolean
} {
  if (kind === 'unfit') return { code: 'page.source_problem', isFinal: false }
  if (count < maxTries) return { code: null, isFinal: false }
  switch (kind) {
    case 'setup':
      return { code: 'page.source_problem', isFinal: false }
    case 'lost':
      return { code: 'page.unavailable', isFinal: false }
    case 'timeout':
      return { code: 'page.timed_out', isFinal: false }
    case null:
      return { code: 'page.failed', isFinal: true }
    default:
      return kind satisfies never
  }
}
