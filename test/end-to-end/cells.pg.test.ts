import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { connect } from '../support/connect.ts'
import { createTestDatabase } from '../support/database.ts'
import { startOwnServer } from '../support/own-server.ts'
import { openTestLink } from '../support/test-link.ts'
import { startTestReceiver } from '../support/test-receiver.ts'
import { until } from '../support/wait.ts'
import { runWalhook, startWalhook, type WalhookProcess } from '../support/walhook-process.ts'

const tables = `
  create table users (id integer primary key, version integer);
  create table companies (id integer primary key);`

async function checksOf(walhook: WalhookProcess) {
  const answer = await fetch(`${await walhook.url()}/readyz`)
  const { checks } = (await answer.json()) as { checks: Record<string, { ok: boolean; status: string }> }
  return { status: answer.status, cell: checks['cell:west']?.status ?? null }
}

const untilCell = (walhook: WalhookProcess, state: string) =>
  until(async () => (await checksOf(walhook)).cell?.startsWith(state), { what: `the cell to be ${state}` })

test('a cell is added, moved to another database and removed while walhook runs; an unreachable one affects no other', {
  timeout: 180_000, // a removal waits until processes have let go
}, async () => {
  const folder = await mkdtemp(join(tmpdir(), 'walhook-cell-'))
  const own = { server: await startOwnServer(folder) }
  try {
    await using database = await createTestDatabase({ hasOutbox: true })
    await using link = await openTestLink(own.server.url)
    await using receiver = await startTestReceiver(async () => 204)
    await using psql = await connect(database.url)
    await psql.query(tables)
    await using walhook = startWalhook(database)
    await walhook.ready()
    await walhook.api('POST', '/api/webhooks', { name: 'CRM', url: receiver.url, triggers: ['user.new'] })
    expect(await checksOf(walhook)).toEqual({ status: 200, cell: null })

    const added = await runWalhook(database, ['cell', 'add', 'west', '--database', link.url])
    expect(added).toMatchObject({ code: 0, stderr: '' })
    await untilCell(walhook, 'working')
    await psql.query('insert into users values (1, 0)')
    const inCell = async () => {
      await using other = await connect(own.server.url)
      return (await other.query('select entity_id from walhook.events order by id')).rows
    }
    await until(async () => (await inCell()).length === 1, { what: 'the copy' })

    await own.server.stop()
    await untilCell(walhook, 'away')
    await psql.query('insert into users values (2, 0)')
    await until(() => receiver.arrivals.length === 2, { what: 'the webhook of main' })
    expect(await checksOf(walhook)).toMatchObject({ status: 200, cell: 'away' })
    const listed = await runWalhook(database, ['cell', 'list'])
    expect(listed.stdout).toMatch(/^west +walhook +- +- +away: /m)

    own.server = await startOwnServer(folder)
    await untilCell(walhook, 'working')
    await until(async () => (await inCell()).length === 2, { what: 'the copy of what was missed' })

    // Its database is elsewhere now. walhook goes there without a restart.
    link.cut()
    await link[Symbol.asyncDispose]()
    await untilCell(walhook, 'away')
    const again = await runWalhook(database, ['cell', 'add', 'west', '--database', own.server.url])
    expect(again).toMatchObject({ code: 0, stderr: '' })
    await untilCell(walhook, 'working')
    await psql.query('insert into users values (3, 0)')
    await until(async () => (await inCell()).length === 3, { what: 'the copy in the new place' })

    const removed = await runWalhook(database, ['cell', 'remove', 'west', '--drop'])
    expect(removed).toMatchObject({ code: 0, stderr: '' })
    expect(await checksOf(walhook)).toEqual({ status: 200, cell: null })
    await using left = await connect(own.server.url)
    expect((await left.query(`select 1 from pg_namespace where nspname = 'walhook'`)).rows).toEqual([])
    // Nothing looked for tables that were gone.
    expect(walhook.log.filter(({ reason }) => String(reason).includes('does not exist'))).toEqual([])
  } finally {
    await own.server.stop().catch(() => {})
    await rm(folder, { recursive: true, force: true })
  }
})
