import type { Problem } from '../value/problem.ts'

/** A database by cluster and OID, whatever its name. */
export type Home = {
  /** Null: the role may not read it. */
  readonly systemIdentifier: string | null
  readonly databaseOid: number
  readonly databaseName: string
}

/**
 * Whether the outbox is in its own database. A restored, dumped or templated copy has another OID or cluster; a renamed
 * database, or a promoted standby, is the same.
 */
export function isHome(home: Home, here: Home): boolean {
  const isSameCluster =
    home.systemIdentifier === null ||
    here.systemIdentifier === null ||
    home.systemIdentifier === here.systemIdentifier
  return isSameCluster && home.databaseOid === here.databaseOid
}

/** Only a person knows which of the two is production. */
export function copyProblem(home: Home, here: Home): Problem {
  return {
    code: 'outbox_copy',
    what: 'outbox',
    found: `a copy: it belongs to ${describeDatabase(home)}, but is in ${describeDatabase(here)}. Both have the same pending deliveries, and would send each twice`,
    mend: 'for a copy, such as staging, run: walhook adopt --discard (cancels pending deliveries, and deactivates every webhook). If production has moved here, and the original no longer runs: walhook adopt --continue',
  }
}

export function describeDatabase({ databaseName, databaseOid, systemIdentifier }: Home): string {
  return `database ${databaseName} (OID ${databaseOid}) of ${systemIdentifier === null ? 'a cluster whose identifier may not be read' : `cluster ${systemIdentifier}`}`
}
