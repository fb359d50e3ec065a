import { quoteIdentifier, tableKey } from '../../domain/mapping/mapping.ts'
import type { Table } from './catalogue.ts'
import { refusesUnpublished, type SourceFacts, type TableProblem, wouldFail } from './preflight-verdict.ts'

/** An existing table must be in the WAL, show all its rows, and make no statement fail. */
export function checkTable(
  table: Table,
  facts: Pick<SourceFacts, 'role' | 'serverVersion' | 'publication'>,
): TableProblem[] {
  const key = tableKey(table.name)
  if (table.kind !== 'r' && table.kind !== 'p')
    return [
      {
        code: 'table_kind',
        what: `table ${key}`,
        found: 'a view or foreign table',
        mend: 'map the underlying table: only tables are in the WAL',
      },
    ]
  // If it is published already, `check` warns: a future harm does not stop capture.
  const future = facts.publication === null ? futureFailure(table) : null
  return [
    ...checkReading(table, facts.role),
    ...checkIdentity(table),
    ...(future ? [future] : []),
    ...checkParts(table, facts),
  ]
}

function checkReading(table: Table, role: string): TableProblem[] {
  const key = tableKey(table.name)
  const what = `table ${key}`
  const problems: TableProblem[] = []
  if (!table.isReadable)
    problems.push({
      code: 'table_unreadable',
      what,
      found: `role ${role} may not read it`,
      mend: `run: grant usage on schema ${quoteIdentifier(table.name.schema)} to ${quoteIdentifier(role)}; grant select on ${key} to ${quoteIdentifier(role)};`,
    })
  if (table.hidesRows)
    problems.push({
      code: 'row_security',
      what,
      found: `row level security applies to role ${role}${table.isOwned ? ', although it owns the table (FORCE)' : ''}: walhook would take hidden rows for deleted ones, and no policy can prove that it hides nothing`,
      mend: `run as a superuser: alter role ${quoteIdentifier(role)} bypassrls;${insteadOfBypass(table, role)}`,
    })
  return problems
}

/** Without BYPASSRLS, as at some hosts: policies do not apply to the owner and its members. */
function insteadOfBypass(table: Table, role: string): string {
  const steps = [
    ...(table.isForced ? [`alter table ${tableKey(table.name)} no force row level security;`] : []),
    ...(table.isOwned ? [] : [`grant ${quoteIdentifier(table.owner)} to ${quoteIdentifier(role)};`]),
  ]
  return steps.length === 0 ? '' : `  Or, which gives it all rights of the owner: ${steps.join(' ')}`
}

function checkIdentity(table: Table): TableProblem[] {
  const key = tableKey(table.name)
  const problems: TableProblem[] = []
  if (table.identityColumns.length === 0)
    problems.push({
      code: 'no_identity',
      what: `table ${key}`,
      found:
        table.identity === 'n'
          ? 'its replica identity is NOTHING'
          : table.primaryKey.length > 0
            ? 'its primary key is deferrable, so it cannot be a replica identity'
            : 'no primary key',
      mend: `${wouldFail}. Run: alter table ${key} ${table.identity === 'n' && table.primaryKey.length > 0 ? 'replica identity default' : `add primary key (…);  or: alter table ${key} replica identity full`};`,
    })
  for (const leaf of table.leaves.filter(({ hasIdentity }) => !hasIdentity))
    problems.push({
      code: 'no_identity',
      what: `table ${key}, partition ${tableKey(leaf.name)}`,
      about: `table ${key}`,
      found: 'has no replica identity of its own',
      mend: `${wouldFail}. Run: alter table ${tableKey(leaf.name)} replica identity full;`,
    })
  return problems
}

/**
 * A later partition inherits the primary key only, neither REPLICA IDENTITY FULL nor an index. Without a key, the
 * application's UPDATE fails as soon as the next partition exists.
 * https://www.postgresql.org/docs/current/sql-altertable.html#SQL-ALTERTABLE-REPLICA-IDENTITY
 */
export function futureFailure(table: Table): TableProblem | null {
  if (table.kind !== 'p' || table.partitionsGetKey || table.identityColumns.length === 0) return null
  const key = tableKey(table.name)
  const columns = table.partitionedBy.map(quoteIdentifier)
  return {
    code: 'future_partitions',
    what: `table ${key}, partitions to come`,
    about: `table ${key}`,
    found: `without a primary key on ${key}, new partitions have no replica identity, whatever that of ${key} is`,
    mend: `${wouldFail} on each new partition. Run: alter table ${key} add primary key (${[...columns, '…'].join(', ')});  or run for each new partition: alter table … replica identity full;`,
  }
}

function checkParts(table: Table, facts: Pick<SourceFacts, 'serverVersion'>): TableProblem[] {
  const key = tableKey(table.name)
  const parts = table.leaves.map(leaf => ({
    ...leaf,
    what: `table ${key}, partition ${tableKey(leaf.name)}`,
  }))
  return [{ ...table, what: `table ${key}` }, ...parts].flatMap(part => {
    const problems: TableProblem[] = []
    if (!part.isLogged)
      problems.push({
        code: 'unlogged',
        what: part.what,
        about: `table ${key}`,
        found: 'unlogged: its changes are not in the WAL',
        mend: `run: alter table ${tableKey(part.name)} set logged;`,
      })
    if (part.generatedInIdentity === 'virtual' && refusesUnpublished(facts))
      problems.push({
        code: 'virtual_in_identity',
        what: part.what,
        about: `table ${key}`,
        found:
          'its replica identity is FULL, and it has virtual generated columns, which cannot be published',
        mend: `${wouldFail}. Run: alter table ${tableKey(part.name)} replica identity default;`,
      })
    return problems
  })
}
