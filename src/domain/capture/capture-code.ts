/** Why capture stopped, one code per fix: what one sees, and the fix. A code never changes its meaning. */
export const captureCodes = {
  'capture.source_unavailable': {
    sees: 'The source database does not respond, refuses the connection or closes it.',
    mend: 'check that the server of DATABASE_URL runs, can be reached, has free connections and accepts the role and its password: walhook check',
  },
  'capture.outbox_unavailable': {
    sees: 'The outbox database does not respond, refuses the connection or closes it.',
    mend: 'check that the server of OUTBOX_DATABASE_URL (or else DATABASE_URL) runs, can be reached, has free connections and accepts the role and its password',
  },
  'capture.database_setup': {
    sees: 'The setup of a database refuses the work of walhook: a privilege, row-level security, a missing table or schema, a damaged index or file.',
    mend: 'do what the reason says on the server: walhook check shows what it lacks. Capture then continues by itself where it was, and skips nothing',
  },
  'capture.timed_out': {
    sees: 'A timeout, a deadlock or an operator keeps ending the work of walhook in a database.',
    mend: 'find the cause: a timeout of the database or the role (alter role … set transaction_timeout = 0, likewise statement_timeout, idle_in_transaction_session_timeout, idle_session_timeout, lock_timeout), a pooler, or pg_terminate_backend',
  },
  'capture.source_problem': {
    sees: 'Something in the source does not match the mapping or would do harm.',
    mend: 'do what the reason says; walhook checks again every few seconds. walhook check shows everything at once',
  },
  'capture.unasked_message': {
    sees: 'The server sends a kind of message that walhook does not know and cannot skip: it may carry changes.',
    mend: 'update walhook. If this is the newest version: stop it, run "walhook resync --force --yes", start it: a resync skips the position',
  },
  'capture.cannot_read': {
    sees: 'Reading the same position in the WAL fails each time, and not because of a single row.',
    mend: 'do what the reason says. If that does not help: stop walhook, run "walhook resync --force --yes", start it: a resync skips the position',
  },
  'capture.cannot_store': {
    sees: 'The outbox rejects the same changes each time, and not because of a single change.',
    mend: 'do what the reason says: a trigger or a constraint that was added to the tables of walhook. If that does not help: stop walhook, run "walhook resync --force --yes", start it',
  },
  'capture.changes_lost': {
    sees: 'Changes are lost. walhook recorded a gap.',
    mend: 'stop walhook, run "walhook resync", start it',
  },
  'capture.table_gap': {
    sees: 'Changes of single tables are lost. walhook recorded a gap for each, and captures everything else.',
    mend: 'run "walhook resync --entity TYPE" for each entity type that the reason names; walhook keeps running meanwhile',
  },
  'capture.mapping_lost': {
    sees: 'The source has dropped a table or column of the mapping. walhook captures everything else.',
    mend: 'create it again and run "walhook resync --entity TYPE"; or remove it from the mapping (WALHOOK_CONFIG) and restart walhook',
  },
} as const satisfies Record<string, { readonly sees: string; readonly mend: string }>

export type CaptureCode = keyof typeof captureCodes

/** How to fix it. */
export const mendOf = (code: CaptureCode): string => captureCodes[code].mend
