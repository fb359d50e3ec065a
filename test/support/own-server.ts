import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../playground/embedded-postgres.ts'
import { packagedPostgres } from '../../playground/postgres-binaries.ts'

/**
 * Which server tests start for themselves, as TEST_EMBEDDED_POSTGRES says: `15` for that version of the embedded one,
 * `debian` for PostgreSQL 15 as Debian builds and sets it (with LLVM, JIT on), else the newest embedded one.
 */
export const embeddedVersion = process.env.TEST_EMBEDDED_POSTGRES || null

/** Where Debian's package postgresql-15 puts `bin` and `lib`. */
const debianFolder = '/usr/lib/postgresql/15'

/**
 * Starts an embedded server that a test has for itself: to stop it, or with settings of its own. It syncs nothing to
 * disk: that matters where the machine crashes, and here only processes do. `binaries`: of one version, whatever is asked for.
 */
export async function startOwnServer(
  dataDir: string,
  wanted: Readonly<Record<string, string>> = {},
  binaries?: string,
): Promise<EmbeddedPostgres> {
  const settings = { fsync: 'off', ...wanted }
  if (binaries) return await startEmbeddedPostgres({ dataDir, settings, binaries })
  if (embeddedVersion === null) return await startEmbeddedPostgres({ dataDir, settings })
  const ofVersion =
    embeddedVersion === 'debian'
      ? debianFolder
      : await packagedPostgres(undefined, undefined, `embedded-postgres-${embeddedVersion}`)
  return await startEmbeddedPostgres({ dataDir, settings, binaries: ofVersion })
}
