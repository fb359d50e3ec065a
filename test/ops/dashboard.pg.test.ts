import { join } from 'node:path'
import { expect, test } from 'vitest'
import dashboard from '../../ops/grafana/walhook.json' with { type: 'json' }
import { connect } from '../support/connect.ts'
import { createTestDatabase } from '../support/database.ts'
import { needs } from '../support/needs.ts'
import { startPrometheus } from '../support/prometheus.ts'
import { startTestReceiver } from '../support/test-receiver.ts'
import { until } from '../support/wait.ts'
import { startWalhook } from '../support/walhook-process.ts'

const rules = join(import.meta.dirname, '..', '..', 'ops', 'prometheus', 'walhook.rules.yaml')
const [, job] = dashboard.templating.list

/** As Grafana sends it, where all jobs are chosen. */
const asSent = (expr: string) => expr.replaceAll('$job', job!.allValue!).replaceAll('$__rate_interval', '10s')

const queries = dashboard.panels.flatMap(({ title, targets = [] }) =>
  targets.map(({ expr, refId }) => ({ panel: `${title} ${refId}`, expr })),
)

type Rules = { groups: readonly { rules: readonly { name: string; health: string; lastError?: string }[] }[] }

test('in a Prometheus that scrapes walhook, every query of the dashboard has data and every rule is evaluated', async ({
  skip,
}) => {
  needs(skip, 'prometheus', 'the package prometheus of Debian brings it')
  await using database = await createTestDatabase({ hasOutbox: true })
  await using psql = await connect(database.url)
  await using receiver = await startTestReceiver(({ entityId }) => (entityId === '1' ? 204 : 500))
  await psql.query(`create table users (id integer primary key, name text);
    create table companies (id integer primary key)`)
  await using walhook = startWalhook(database, { WALHOOK_ALLOW_TARGETS: '127.0.0.1' })
  await walhook.ready()
  const webhook = { name: 'A', url: receiver.url, triggers: ['user.new', 'user.update'] }
  await walhook.api('POST', '/api/webhooks', webhook)
  await using prometheus = await startPrometheus({ walhook: await walhook.url() }, [rules])
  const ask = async (expr: string) =>
    (await prometheus.ask<{ result: readonly unknown[] }>('query', { query: asSent(expr) })).result

  const empty = new Set(queries)
  let version = 0
  await until(
    async () => {
      // A rate is seen only while something happens.
      await psql.query(
        `insert into users select id, $1 from generate_series(1, 2) id
         on conflict (id) do update set name = excluded.name`,
        [`${version++}`],
      )
      for (const query of empty) if ((await ask(query.expr)).length > 0) empty.delete(query)
      return empty.size === 0
    },
    { what: 'data for every query', intervalMs: 200 },
  ).catch(() => {})
  expect([...empty].map(({ panel }) => panel)).toEqual([])
  expect(await prometheus.ask('label/job/values', { 'match[]': 'walhook_build_info' })).toEqual(['walhook'])

  const all = await until(
    async () => {
      const { groups } = await prometheus.ask<Rules>('rules')
      const found = groups.flatMap(group => group.rules)
      return found.every(({ health }) => health !== 'unknown') && found
    },
    { what: 'every rule to be evaluated' },
  )
  expect(all.filter(({ health }) => health !== 'ok')).toEqual([])
  expect(all.length).toBeGreaterThan(10)

  await psql.query('truncate users')
  const firing = async () =>
    (await prometheus.ask<{ alerts: readonly { labels: object }[] }>('alerts')).alerts.some(
      ({ labels }) => 'table' in labels && labels.table === '"public"."users"',
    )
  await until(firing, { what: 'the alert about the first TRUNCATE of a table' })
})
