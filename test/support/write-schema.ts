import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startEmbeddedPostgres } from '../../playground/embedded-postgres.ts'
import { mappingFileSchema } from '../../src/domain/mapping/mapping-file.ts'
import { openOutbox } from '../../src/outbox/database/database.ts'
import { migrate } from '../../src/outbox/database/migrate.ts'
import { connect } from './connect.ts'
import { dumpSchema } from './schema-dump.ts'

/**
 * `npm run schema`: writes down the form of a mapping file, and what the migrations have made of an empty database.
 */
const mappingSchema = `${JSON.stringify(mappingFileSchema(), null, 2)}\n`
await writeFile(new URL('../../docs/walhook.schema.json', import.meta.url), mappingSchema)

const dataDir = await mkdtemp(join(tmpdir(), 'walhook-schema-'))
const server = await startEmbeddedPostgres({ dataDir })
try {
  {
    await using outbox = openOutbox({ url: server.url, maxConnections: 1, onError() {} })
    const result = await migrate(outbox)
    if (!result.ok) throw new Error(`the migrations fail: ${JSON.stringify(result)}`)
  }
  await using client = await connect(server.url)
  await writeFile(new URL('../../migrations/schema.sql', import.meta.url), await dumpSchema(client))
} finally {
  await server.stop()
  await rm(dataDir, { recursive: true, force: true })
}
