import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { parse } from 'yaml'
import schema from '../../ops/helm/walhook/values.schema.json' with { type: 'json' }
import { variables } from '../../src/config/variables.ts'
import { chart, needsHelm, readChart, template, templateJson } from '../support/chart.ts'

async function readSecrets(): Promise<string[]> {
  const helpers = await readChart('templates', '_helpers.tpl')
  return [...helpers.matchAll(/range \$name := list ((?:"\w+" ?)+)/g)].flatMap(([, names]) =>
    [...names!.matchAll(/"(\w+)"/g)].map(([, name]) => name!),
  )
}

test('the values list exactly the variables that are not secret', async () => {
  const secrets = await readSecrets()
  // The chart sets them, or they are of commands.
  const own = ['PORT', 'WALHOOK_ROLES', 'WALHOOK_CONFIG', 'WALHOOK_TOKEN']
  const configured = Object.keys(schema.properties.config.properties)
  expect([...secrets, ...own, ...configured].sort()).toEqual(Object.keys(variables).sort())
})

test('the guide and the values list every variable that the Secret may have', async () => {
  const guide = await readFile(join(chart, '..', '..', '..', 'docs', 'guide', 'kubernetes.md'), 'utf8')
  const values = await readChart('values.yaml')
  for (const secret of await readSecrets()) {
    expect(guide).toContain(`\`${secret}\``)
    expect(values).toContain(secret)
  }
})

test('a variable is rendered unchanged, also a large number', ({ skip }) => {
  needsHelm(skip)
  const config = { WALHOOK_ADMIN_USER: 12345678, WALHOOK_LOG_ENTITY_IDS: true, WALHOOK_OIDC_NAME: '0012' }
  const { env } = templateJson({ config }).named('Deployment', 'one-walhook').template.spec.containers[0]
  for (const [name, value] of Object.entries(config))
    expect(env).toContainEqual({ name, value: String(value) })
})

test('extraEnv replaces a variable of the Secret or of the values', ({ skip }) => {
  needsHelm(skip)
  const url = { name: 'DATABASE_URL', valueFrom: { secretKeyRef: { name: 'app-db', key: 'uri' } } }
  const extraEnv = [
    url,
    { name: 'WALHOOK_SMTP_URL', value: 'smtp://mail' },
    { name: 'LOG_LEVEL', value: 'debug' },
  ]
  const values = { extraEnv, config: { LOG_LEVEL: 'warn', WALHOOK_MAX_IN_FLIGHT: 5 } }
  const { spec } = templateJson(values).named('Deployment', 'one-walhook').template
  for (const { env } of [...spec.containers, ...spec.initContainers]) {
    for (const each of extraEnv)
      expect(env.filter(({ name }: { name: string }) => name === each.name)).toEqual([each])
    expect(env).toContainEqual({ name: 'WALHOOK_MAX_IN_FLIGHT', value: '5' })
    expect(env).toContainEqual(expect.objectContaining({ name: 'WALHOOK_SECRET_KEY' }))
  }
})

test.for([
  ['config.WALHOOK_SLOTT=a', 'WALHOOK_SLOTT'],
  ['replicas=0', 'replicas'],
  ['existingSecret=', 'existingSecret'],
  ['ingres.enabled=true', 'ingres'],
  ['config.DATABASE_URL=postgres://a', 'DATABASE_URL'],
  ['ingress.enabled=true', 'ingress.host: not set'],
  ['httpRoute.enabled=true', 'httpRoute.parentRefs: empty'],
  ['httpRoute.enabled=true,httpRoute.parentRefs[0].name=a', 'httpRoute.host: not set'],
  ['podDisruptionBudget.maxUnavailable=some', 'maxUnavailable'],
  [
    'ingress.host=https://walhook.example.com',
    'ingress.host: "https://walhook.example.com" is no host name. Fix:',
  ],
  ['httpRoute.host=walhook.example.com:443', 'httpRoute.host: "walhook.example.com:443" is no host name'],
  ['fullnameOverride=Wal_Hook', 'fullnameOverride'],
  ['extraEnv[0].name=WALHOOK_ROLES', 'extraEnv/0/name'],
  ['extraEnv[0].name=TZ,extraEnv[1].name=TZ', 'extraEnv: TZ is in the list twice'],
  // The schema allows every OTEL_ variable; this one is also a variable of the Secret, and would be there twice.
  ['config.OTEL_EXPORTER_OTLP_HEADERS=a=b', 'config.OTEL_EXPORTER_OTLP_HEADERS: holds secrets. Fix:'],
  [
    'podLabels.app\\.kubernetes\\.io/instance=two',
    'podLabels: app.kubernetes.io/instance is a label of the chart. Fix:',
  ],
  ['podAnnotations.walhook/mapping=a', 'podAnnotations: walhook/mapping is an annotation of the chart'],
])('the value %s is refused by its name', ([value, name], { skip }) => {
  needsHelm(skip)
  const { status, stderr } = template(value!)
  expect(status).not.toBe(0)
  expect(stderr).toContain(name)
})

test('a parent chart can disable the chart by a condition', ({ skip }) => {
  needsHelm(skip)
  expect(
    template('enabled=true', 'global.region=eu', 'podLabels.app\\.kubernetes\\.io/part-of=shop'),
  ).toMatchObject({ status: 0 })
})

/** Groups of values that every release of the chart has had. */
const groups = [
  ...[
    'image',
    'splitCapture',
    'existingSecret',
    'config',
    'migration',
    'service',
    'ingress',
    'podDisruptionBudget',
  ],
  ...['networkPolicy', 'serviceMonitor', 'serviceAccount'],
]

test('an upgrade with --reuse-values lacks the values that are newer than the release', async ({ skip }) => {
  needsHelm(skip)
  const values = Object.keys(parse(await readChart('values.yaml')))
  const newer = values.filter(value => !groups.includes(value))
  expect(newer).toContain('httpRoute')
  expect(template(...newer.map(value => `${value}=null`))).toMatchObject({ status: 0, stderr: '' })
})
