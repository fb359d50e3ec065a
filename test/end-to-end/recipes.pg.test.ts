import { mkdtemp, readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { parse } from 'yaml'
import { beginResync, occasionOf } from '../../src/capture/backfill/resync.ts'
import { openSource } from '../../src/capture/source/source.ts'
import { readMappingFile } from '../../src/domain/mapping/mapping-file.ts'
import { openOutbox } from '../../src/outbox/database/database.ts'
import { listOpenGaps, openGap } from '../../src/outbox/source/gaps.ts'
import { applications } from '../support/application-tables.ts'
import { isDone, openBackfills } from '../support/backfill.ts'
import { startCaptureProcess } from '../support/capture-process.ts'
import { connect } from '../support/connect.ts'
import { createTestDatabase } from '../support/database.ts'
import { randomFrom } from '../support/random.ts'
import { startCapture } from '../support/run-capture.ts'
import { dropSlot, slotIsFree } from '../support/slot.ts'
import { until } from '../support/wait.ts'
import { runWalhook } from '../support/walhook-process.ts'

const guide = await readFile(new URL('../../docs/guide/mapping.md', import.meta.url), 'utf8')
const recipeOf = (name: string) =>
  new RegExp(`^### ${name}\n(?:(?!^##).)*?^\`\`\`yaml\n(.*?)^\`\`\``, 'ms').exec(guide)![1]!

/** What a receiver knows that applies what it is told. A `delete` may be of a row that went before its `new` could be written. */
function knownOf(events: readonly string[]) {
  const known = new Map<string, Record<string, unknown>>()
  for (const event of events) {
    const [, entity, action, values] = /^(\w+ (?:"(?:[^"\\]|\\.)*"|\d+)) (\w+) ?(.*)$/.exec(event)!
    if (action === 'delete') known.delete(entity!)
    else known.set(entity!, JSON.parse(values!))
  }
  return new Map([...known].sort())
}

const seed = Number(process.env.WALHOOK_SEED ?? Math.floor(Math.random() * 2 ** 31))

test.each(applications)(
  `the recipe for $name works as written: changes, kills, a migration, a backfill and a resync (WALHOOK_SEED=${seed})`,
  async application => {
    const database = await createTestDatabase({ hasOutbox: true })
    await using psql = await connect(database.url)
    await psql.query(application.tables)
    const text = recipeOf(application.name)
    const file = join(await mkdtemp(join(tmpdir(), 'walhook-recipe-')), 'walhook.yaml')
    await writeFile(file, text)
    const env = { WALHOOK_CONFIG: file, WALHOOK_SLOT: database.name.slice(0, 63) }
    await psql.query((await runWalhook(database, ['check', '--sql'], env)).stdout)
    const checked = JSON.parse((await runWalhook(database, ['check', '--json'], env)).stdout)
    const isOfServer = (code: string) => code === 'keep_size'
    expect(
      checked.filter(
        ({ level, code }: { level: string; code: string }) => level !== 'ok' && !isOfServer(code),
      ),
    ).toEqual([])
    const read = readMappingFile(parse(text))
    if (!read.ok) throw new Error(JSON.stringify(read.problems))
    const { mapping } = read
    const slotName = database.name.slice(0, 63)
    let events: string[] = []
    {
      await using capture = await startCapture(database, mapping)
      for (const [sql, told] of application.steps) {
        await psql.query(sql)
        await capture.caughtUp()
        const before = events.length
        events = await capture.events()
        expect([sql, events.slice(before)]).toEqual([sql, told])
      }
    }

    const random = randomFrom(seed)
    const some = (max: number) => 1 + Math.floor(random() * max)
    const write = async (times: number) => {
      for (let i = 0; i < times; i++) await psql.query(application.write(some))
    }
    for (let round = 0; round < 3; round++) {
      const process = startCaptureProcess(database, mapping)
      await process.streaming
      await write(20 + some(20))
      await process.kill()
      await write(10)
      await slotIsFree(psql, slotName)
    }

    await using backfills = await openBackfills(database)
    await backfills.webhook(
      ...mapping.flatMap(({ entityType: type }) =>
        ['new', 'update', 'delete'].map(action => `${type}.${action}`),
      ),
    )
    /** What all rows are told as, each as new: what the database holds. */
    const isKnown = async (capture: Awaited<ReturnType<typeof startCapture>>) => {
      await capture.caughtUp()
      const told = await capture.events()
      for (const { entityType } of mapping) await backfills.is(await backfills.start({ entityType }), isDone)
      await capture.caughtUp()
      const present = knownOf((await capture.events()).slice(told.length))
      const known = knownOf(told)
      expect(known).toEqual(present)
      expect([...known.values()].filter(values => 'phone' in values)).toEqual([])
      return known
    }
    {
      await using capture = await startCapture(database, mapping)
      expect((await isKnown(capture)).size).toBeGreaterThan(0)
      await psql.query(application.migration)
      await write(20)
      await isKnown(capture)
    }

    await dropSlot(psql, slotName)
    await psql.query(application.lose)
    {
      await using outbox = openOutbox({ url: database.url, maxConnections: 2, onError() {} })
      await openGap(outbox, { slotName, reason: 'slot missing', detail: 'dropped', fromLsn: 1n })
      await using source = openSource({ url: database.url, onError() {} })
      const options = { slotName, publicationName: 'walhook', mapping, onWaiting() {} }
      expect(await beginResync(source, outbox, (await occasionOf(outbox, slotName))!, options)).toMatchObject(
        { ok: true },
      )
    }
    await using capture = await startCapture(database, mapping)
    await until(async () => (await listOpenGaps(backfills.outbox, slotName)).length === 0, {
      what: 'the end of the gap',
    })
    await write(20)
    await isKnown(capture)
  },
  180_000,
)
