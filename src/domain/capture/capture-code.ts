/** Why capture stopped, one code per fix: what one sees, and the fix. A code never changes its meaning. */
export const captureCodes = {
  'capture.source_unavailable': {
    sees: 'The source database does not answer, refuses the connection or ends it.',
    mend: 'check that the server of DATABASE_URL runs, can be reached and has connections free: walhook check',
  },
  'capture.outbox_unavailable': {
    sees: 'The outbox database does not answer, refuses the connection or ends it.',
    mend: 'check that the server of OUTBOX_DATABASE_URL (or else DATABASE_URL) runs, can be reached and has connections free',
  },
  'capture.timed_out': {
    sees: 'A timeout or an operator ends what walhook does in a database, again and again.',
    mend: 'find what ends it: a timeout of the database or the role (alter role … set transaction_timeout = 0, likewise statement_timeout, idle_in_transaction_session_timeout, idle_session_timeout, lock_timeout), a pooler, or pg_terminate_backend',
  },
  'capture.source_problem': {
    sees: 'Something in the source does not fit the mapping or would do harm.',
    mend: 'do what the reason says; walhook looks again every few seconds. walhook check shows everything at once',
  },
  'capture.unasked_message': {
    sees: 'The server sends a kind of message that walhook has not asked for, and can not pass over: it may carry changes.',
    mend: 'update walhook. If this is the newest: stop it, run "walhook resync --force --yes", start it: a resync passes over the place',
  },
  'capture.cannot_read': {
    sees: 'The same place in the WAL fails each time that it is read, and no single row can be set aside for it.',
    mend: 'do what the reason says, where it says something. Else stop walhook, run "walhook resync --force --yes", start it: a resync passes over the place',
  },
  'capture.cannot_store': {
    sees: 'What was read is refused by the outbox each time, and no single change can be set aside for it.',
    mend: 'do what the reason says, where it says something: disk full, rights, a missing table (walhook migrate). Else stop walhook, run "walhook resync --force --yes", start it',
  },
  'capture.changes_lost': {
    sees: 'Changes are lost, and a gap is recorded.',
    mend: 'stop walhook, run "walhook resync", start it',
  },
  'capture.table_gap': {
    sees: 'Changes of single tables are lost, and a gap is recorded for each of them; everything else is captured.',
    mend: 'run "walhook resync --entity TYPE" for each entity type that the reason names; walhook runs on meanwhile',
  },
  'capture.mapping_lost': {
    sees: 'The source has dropped what the mapping names; everything else is captured.',
    mend: 'create it again and run "walhook resync --entity TYPE"; or take it out of the mapping (WALHOOK_CONFIG) and start walhook again',
  },
} as const satisfies Record<string, { readonly sees: string; readonly mend: string }>

export type CaptureCode = keyof typeof captureCodes

/** How to fix it. */
export const mendOf = (code: CaptureCode): string => captureCodes[code].mend
