import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../src/playground/embedded-postgres.ts'
import { packagedPostgres } from '../../src/playground/postgres-binaries.ts'

/** Which embedded server tests run on: `15` where TEST_EMBEDDED_POSTGRES says so, else the newest. */
export const embeddedVersion = process.env.TEST_EMBEDDED_POSTGRES || null

/** Starts an embedded server that a test has for itself: to stop it, or with settings of its own. */
export async function startOwnServer(
  dataDir: string,
  settings: Readonly<Record<string, string>> = {},
): Promise<EmbeddedPostgres> {
  if (embeddedVersion === null) return await startEmbeddedPostgres({ dataDir, settings })
  const binaries = await packagedPostgres(undefined, undefined, `embedded-postgres-${embeddedVersion}`)
  return await startEmbeddedPostgres({ dataDir, settings, binaries })
}
