import { execFile } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { beforeAll, describe, expect, test } from 'vitest'
import { parse, stringify } from 'yaml'
import dashboard from '../../ops/grafana/walhook.json' with { type: 'json' }
import { connect } from '../support/connect.ts'
import { createTestDatabase } from '../support/database.ts'
import { needs } from '../support/needs.ts'
import { groupsIn, selectorsIn, seriesOf } from '../support/promql.ts'
import { startTestReceiver } from '../support/test-receiver.ts'
import { until } from '../support/wait.ts'
import { runWalhook, startWalhook } from '../support/walhook-process.ts'

const run = promisify(execFile)
const project = join(import.meta.dirname, '..', '..')
const ops = join(project, 'ops', 'prometheus')
const pages = join(project, 'docs', 'guide', 'alerts')

type Alert = {
  alert: string
  expr: string
  for?: string
  labels: { severity: string }
  annotations: { summary: string; runbook: string }
}
type Expected = { alertname: string; exp_alerts?: readonly unknown[] }
const read = async (file: string) => parse(await readFile(join(ops, file), 'utf8'))
const groups: readonly { rules: readonly Alert[] }[] = (await read('walhook.rules.yaml')).groups
const alerts = groups.flatMap(({ rules }) => rules)
const cases: readonly Expected[] = (await read('walhook.rules.test.yaml')).tests.flatMap(
  (each: { alert_rule_test: readonly Expected[] }) => each.alert_rule_test,
)
const queries = dashboard.panels.flatMap(({ title, targets = [] }) =>
  targets.map(({ expr }) => [`panel ${title}`, expr] as const),
)
const expressions = [...alerts.map(({ alert, expr }) => [alert, expr] as const), ...queries]

const promtool = ['promtool', 'the package prometheus of Debian brings it'] as const

test('the rules are valid, and fire exactly as their test expects', async ({ skip }) => {
  needs(skip, ...promtool)
  await run('promtool', ['check', 'rules', 'walhook.rules.yaml'], { cwd: ops })
  await run('promtool', ['test', 'rules', 'walhook.rules.test.yaml'], { cwd: ops })
})

test('every query of the dashboard is valid PromQL', async ({ skip }) => {
  needs(skip, ...promtool)
  const folder = await mkdtemp(join(tmpdir(), 'walhook-dashboard-'))
  const rules = queries.map(([, expr], i) => ({
    record: `panel:${i}`,
    expr: expr.replaceAll('$__rate_interval', '1m'),
  }))
  const file = join(folder, 'rules.yaml')
  await writeFile(file, stringify({ groups: [{ name: 'dashboard', rules }] }))
  await run('promtool', ['check', 'rules', file])
  await rm(folder, { recursive: true })
})

test.each(alerts.map(alert => [alert.alert, alert] as const))(
  '%s has a run-book with its rule, a test that fires and one that does not',
  async (name, { annotations, labels, expr }) => {
    expect(['critical', 'warning']).toContain(labels.severity)
    const page = await readFile(join(project, annotations.runbook), 'utf8')
    expect(page.startsWith(`# ${name}\n`), annotations.runbook).toBe(true)
    expect(page).toContain(`_Severity: ${labels.severity}.`)
    expect(page).toContain(`\`\`\`promql\n${expr}\n\`\`\``)
    expect(page).toMatch(/^\*\*Meaning\.\*\* .*^\*\*Meanwhile\.\*\* .*^## Look\n.*^## Fix\n/ms)
    const own = cases.filter(({ alertname }) => alertname === name)
    expect(own.map(({ exp_alerts }) => (exp_alerts?.length ?? 0) > 0)).toEqual(
      expect.arrayContaining([true, false]),
    )
  },
)

test('every run-book belongs to an alert, and the guide lists them all', async () => {
  const files = (await readdir(pages)).sort()
  expect(files).toEqual(alerts.map(({ annotations }) => annotations.runbook.split('/').at(-1)).sort())
  const guide = await readFile(join(project, 'docs', 'guide', 'operating.md'), 'utf8')
  const listed = [...guide.matchAll(/^\| \[(\w+)\]\(alerts\/([\w-]+\.md)\) +\| (\w+)/gm)].map(
    ([, name, page, severity]) => [name, `docs/guide/alerts/${page}`, severity],
  )
  expect(listed.sort()).toEqual(
    alerts.map(({ alert, annotations, labels }) => [alert, annotations.runbook, labels.severity]).sort(),
  )
})

describe('rules and dashboard match the metrics of a running walhook', () => {
  let series: ReturnType<typeof seriesOf>

  beforeAll(async () => {
    await using database = await createTestDatabase({ hasOutbox: true })
    await using psql = await connect(database.url)
    await using receiver = await startTestReceiver()
    await psql.query(`create table users (id integer primary key, name text);
      create table companies (id integer primary key)`)
    await using walhook = startWalhook(database, { WALHOOK_ALLOW_TARGETS: '127.0.0.1' })
    await walhook.ready()
    await walhook.api('POST', '/api/webhooks', { name: 'A', url: receiver.url, triggers: ['user.new'] })
    await psql.query("insert into users values (1, 'Ada')")
    await psql.query('truncate users')
    expect(await runWalhook(database, ['cell', 'add', 'west'])).toMatchObject({ code: 0 })
    const metrics = async () => await (await fetch(`${await walhook.url()}/metrics`)).text()
    for (const what of [
      'walhook_truncated_tables_total{',
      'walhook_webhook_attempts_total{',
      'walhook_cell_away{',
    ])
      await until(async () => (await metrics()).includes(what), { what })
    series = seriesOf(await metrics())
  }, 60_000)

  test.each(expressions)('%s uses existing metrics and labels', (_name, expression) => {
    const selectors = selectorsIn(expression)
    expect(selectors.length).toBeGreaterThan(0)
    // What Prometheus itself adds to each series.
    const known = new Set(['job', 'instance'])
    for (const { name, labels } of selectors) {
      expect([...series.keys()], expression).toContain(name)
      for (const label of series.get(name)!) known.add(label)
      const strange = labels.filter(
        label => !['job', 'instance'].includes(label) && !series.get(name)!.has(label),
      )
      expect(strange, `${name} in ${expression}`).toEqual([])
    }
    expect(
      groupsIn(expression).filter(label => !known.has(label)),
      expression,
    ).toEqual([])
  })

  test('the served metrics are those of the reference', async () => {
    const reference = await readFile(join(project, 'docs', 'reference', 'metrics.md'), 'utf8')
    const listed = [...reference.matchAll(/^\| `([a-z]\w*)/gm)].map(([, name]) => name!)
    const served = [...series.keys()].filter(
      name => !listed.includes(name) && !listed.includes(name.replace(/_(bucket|sum|count)$/, '')),
    )
    expect(served).toEqual([])
    const missing = listed.filter(name => ![...series.keys()].some(each => each.startsWith(name)))
    expect(missing).toEqual([])
  })
})
