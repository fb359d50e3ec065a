import { expect, test } from 'vitest'
import { captureCodes } from '../../src/domain/capture/capture-code.ts'
import { connect } from '../support/connect.ts'
import { createTestDatabase } from '../support/database.ts'
import { until } from '../support/wait.ts'
import { adminToken, startWalhook } from '../support/walhook-process.ts'

const table = 'create table companies (id integer primary key)'

test('a mapped table that is dropped, re-created and renamed between two inspections is in status and metrics until it returns', async () => {
  const database = await createTestDatabase({ hasOutbox: true })
  await using psql = await connect(database.url)
  await psql.query(`create table users (id integer primary key); ${table}`)
  await using walhook = startWalhook(database)
  await walhook.ready()
  const lost = async () => (await walhook.api('GET', '/api/status')).mapping_lost
  const metric = async () => {
    const answer = await fetch(`${await walhook.url()}/metrics`, {
      headers: { authorization: `Bearer ${adminToken}` },
    })
    return /^walhook_mapping_lost (.*)$/m.exec(await answer.text())?.[1]
  }
  expect(await lost()).toEqual([])
  expect(await metric()).toBe('0')

  await psql.query(`begin; drop table companies; ${table}; alter table companies rename to firms; commit`)
  await until(async () => ((await lost()) as unknown[]).length > 0, { what: 'the loss to be said' })
  expect(await lost()).toEqual([
    {
      what: 'entity company: table "public"."companies" was dropped',
      code: 'capture.mapping_lost',
      mend: captureCodes['capture.mapping_lost'].mend,
    },
  ])
  await until(async () => (await metric()) === '1', { what: 'the metric to say so' })

  await psql.query(`${table}; alter publication walhook add table companies`)
  await until(async () => ((await lost()) as unknown[]).length === 0, { what: 'it to be back' })
})
