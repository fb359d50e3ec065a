import { spawnSync } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { parseAllDocuments } from 'yaml'
import schema from '../../ops/helm/walhook/values.schema.json' with { type: 'json' }
import packageJson from '../../package.json' with { type: 'json' }
import { pages } from '../../src/admin/pages.ts'
import { variables } from '../../src/config/variables.ts'
import { parsePublicUrls } from '../../src/domain/access/public-url.ts'
import { needs } from '../support/needs.ts'

const chart = join(import.meta.dirname, '..', '..', 'ops', 'helm', 'walhook')
const read = (...path: string[]) => readFile(join(chart, ...path), 'utf8')
const run = (command: string, ...args: string[]) => spawnSync(command, args, { encoding: 'utf8' })
const helm = ['helm', 'go install helm.sh/helm/v3/cmd/helm@v3.19.5'] as const

type Manifest = {
  kind: string
  metadata: { name: string; labels: Record<string, string> }
  // biome-ignore lint/suspicious/noExplicitAny: what is in it differs by kind
  spec: any
}

const everything = [
  ...[
    'splitCapture=true',
    'networkPolicy.enabled=true',
    'serviceMonitor.enabled=true',
    'ingress.enabled=true',
  ],
  ...['ingress.host=walhook.example.com', 'ingress.tlsSecret=tls', 'ingress.className=nginx'],
  ...[
    'config.WALHOOK_MAX_IN_FLIGHT=50',
    'config.WALHOOK_URL=https://walhook.example.com',
    'mapping=version: 2',
  ],
  ...[
    'podAnnotations.a=b',
    'nodeSelector.disk=ssd',
    'imagePullSecrets[0].name=registry',
    'service.annotations.c=d',
  ],
]

const template = (...values: string[]) => rendered(values.flatMap(value => ['--set', value]))

/** As from a file: numbers of a `--set` are others to helm. */
const templateJson = (values: Record<string, unknown>) =>
  rendered(
    Object.entries(values).flatMap(([name, value]) => ['--set-json', `${name}=${JSON.stringify(value)}`]),
  )

function rendered(options: readonly string[]) {
  const ran = run('helm', 'template', 'one', chart, ...options)
  const manifests = parseAllDocuments(ran.stdout).flatMap(document => document.toJS() ?? []) as Manifest[]
  const named = (kind: string, name: string) =>
    manifests.find(each => each.kind === kind && each.metadata.name === name)?.spec
  return { ...ran, manifests, named }
}

async function readSecrets(): Promise<string[]> {
  const helpers = await read('templates', '_helpers.tpl')
  return [...helpers.matchAll(/range \$name := list ((?:"\w+" ?)+)/g)].flatMap(([, names]) =>
    [...names!.matchAll(/"(\w+)"/g)].map(([, name]) => name!),
  )
}

test('the values name every variable of walhook that is no secret, and no other', async () => {
  const secrets = await readSecrets()
  // The chart sets them, or they are of commands.
  const own = ['PORT', 'WALHOOK_ROLES', 'WALHOOK_CONFIG', 'WALHOOK_TOKEN']
  const configured = Object.keys(schema.properties.config.properties)
  expect([...secrets, ...own, ...configured].sort()).toEqual(Object.keys(variables).sort())
})

test('the guide and the values name every variable that the Secret may hold', async () => {
  const guide = await readFile(join(chart, '..', '..', '..', 'docs', 'guide', 'kubernetes.md'), 'utf8')
  const values = await read('values.yaml')
  for (const secret of await readSecrets()) {
    expect(guide).toContain(`\`${secret}\``)
    expect(values).toContain(secret)
  }
})

test('the chart installs the version of the package', async () => {
  expect(await read('Chart.yaml')).toContain(`appVersion: "${packageJson.version}"`)
})

test('the chart has no lint', ({ skip }) => {
  needs(skip, ...helm)
  expect(run('helm', 'lint', '--strict', chart)).toMatchObject({ status: 0 })
})

test('by default every process does everything', ({ skip }) => {
  needs(skip, ...helm)
  const { manifests, named } = template()
  expect(manifests.map(({ kind }) => kind).sort()).toEqual(
    ['Deployment', 'PodDisruptionBudget', 'Service', 'ServiceAccount'].sort(),
  )
  const { template: pod, replicas } = named('Deployment', 'one-walhook')
  expect(replicas).toBe(2)
  const [container] = pod.spec.containers
  expect(container.env).toContainEqual({ name: 'WALHOOK_ROLES', value: 'capture,delivery,api' })
  expect(container.env).toContainEqual({
    name: 'DATABASE_URL',
    valueFrom: { secretKeyRef: { name: 'walhook', key: 'DATABASE_URL' } },
  })
  expect(pod.spec.initContainers).toMatchObject([{ args: ['migrate'] }])
  for (const each of [container, ...pod.spec.initContainers])
    expect(each.securityContext).toEqual({
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    })
  expect(pod.spec).toMatchObject({
    automountServiceAccountToken: false,
    securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
  })
  expect(JSON.stringify(template('migration.enabled=false').manifests)).not.toContain('"migrate"')
})

test('a Service leads to pods that answer, also while capture is blocked, and a start waits for every part', ({
  skip,
}) => {
  needs(skip, ...helm)
  const { named } = template()
  // With it, a Service leads to pods that migrate, start or end: requests are refused at each upgrade.
  expect(named('Service', 'one-walhook').publishNotReadyAddresses).toBeUndefined()
  const { spec } = named('Deployment', 'one-walhook').template
  const [{ startupProbe, readinessProbe, livenessProbe, lifecycle }] = spec.containers
  const pathOf = (probe: { httpGet: { path: string } }) => probe.httpGet.path
  expect([startupProbe, readinessProbe, livenessProbe].map(pathOf)).toEqual([
    '/readyz?exclude=capture:gap&exclude=capture:lost',
    '/readyz?exclude=capture&exclude=delivery',
    '/livez',
  ])
  // A shutdown that takes longest ends before Kubernetes kills: `stopWithinMs` of serve.
  const [, seconds] = lifecycle.preStop.exec.command
  expect(Number(seconds) + 15).toBeLessThan(spec.terminationGracePeriodSeconds)
})

test('capture can have a Deployment of its own, which people and programs do not reach', ({ skip }) => {
  needs(skip, ...helm)
  const { manifests, named } = template(...everything)
  const rolesOf = (name: string) =>
    named('Deployment', name).template.spec.containers[0].env.find(
      (variable: { name: string }) => variable.name === 'WALHOOK_ROLES',
    ).value
  expect(rolesOf('one-walhook')).toBe('delivery,api')
  expect(rolesOf('one-walhook-capture')).toBe('capture,api')
  const labelsOf = (name: string) => named('Deployment', name).template.metadata.labels
  const selects = (service: string, deployment: string) =>
    Object.entries(named('Service', service).selector).every(
      ([label, value]) => labelsOf(deployment)[label] === value,
    )
  expect(selects('one-walhook', 'one-walhook')).toBe(true)
  expect(selects('one-walhook', 'one-walhook-capture')).toBe(false)
  expect(selects('one-walhook-capture', 'one-walhook-capture')).toBe(true)
  expect(named('Ingress', 'one-walhook').tls).toEqual([{ secretName: 'tls', hosts: ['walhook.example.com'] }])
  expect(named('NetworkPolicy', 'one-walhook').policyTypes).toEqual(['Ingress', 'Egress'])
  // Both Services have the label that becomes the job: the alerts compare processes of one job.
  const { jobLabel } = named('ServiceMonitor', 'one-walhook')
  const services = manifests.filter(({ kind }) => kind === 'Service')
  expect(services.map(({ metadata }) => metadata.labels[jobLabel])).toEqual(['one', 'one'])
})

test('behind an Ingress, walhook is known by its host, by its Service and by a forwarded port, unless the values say otherwise', ({
  skip,
}) => {
  needs(skip, ...helm)
  const urlsWith = (...values: string[]) => {
    const { env } = template(...values).named('Deployment', 'one-walhook').template.spec.containers[0]
    return env.filter(({ name }: { name: string }) => name === 'WALHOOK_URL').map(parsed)
  }
  const parsed = ({ value }: { value: string }) => parsePublicUrls(value)
  expect(urlsWith()).toEqual([])
  const behind = ['ingress.enabled=true', 'ingress.host=walhook.example.com']
  const [found] = urlsWith(...behind)
  expect(found.urls[0]).toEqual({ protocol: 'https', host: 'walhook.example.com' })
  for (const host of ['one-walhook', 'one-walhook.default.svc', '127.0.0.1:8080'])
    expect(found.urls).toContainEqual({ protocol: 'http', host })
  const own = urlsWith(...behind, 'config.WALHOOK_URL=http://intern.example.com')
  expect(own).toEqual([{ ok: true, urls: [{ protocol: 'http', host: 'intern.example.com' }] }])
})

test('a variable is written as it was given, also a large number', ({ skip }) => {
  needs(skip, ...helm)
  const config = { WALHOOK_ADMIN_USER: 12345678, WALHOOK_LOG_ENTITY_IDS: true, WALHOOK_OIDC_NAME: '0012' }
  const { env } = templateJson({ config }).named('Deployment', 'one-walhook').template.spec.containers[0]
  for (const [name, value] of Object.entries(config))
    expect(env).toContainEqual({ name, value: String(value) })
})

test('a variable from elsewhere replaces the one of the Secret or of the values', ({ skip }) => {
  needs(skip, ...helm)
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

test('on OpenShift, the namespace chooses the user', ({ skip }) => {
  needs(skip, ...helm)
  const context = { runAsUser: null, runAsGroup: null }
  const { spec, metadata } = templateJson({ podSecurityContext: context, podLabels: { team: 'data' } }).named(
    'Deployment',
    'one-walhook',
  ).template
  expect(spec.securityContext).toEqual({ runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } })
  expect(metadata.labels).toMatchObject({ team: 'data', 'app.kubernetes.io/component': 'server' })
})

test('a mapping arrives as it was written', ({ skip }) => {
  needs(skip, ...helm)
  const mapping =
    '  # Indented, and without an end of its last line.\n  entities:\n    user: { table: users }'
  const { manifests } = templateJson({ mapping })
  expect(manifests.find(({ kind }) => kind === 'ConfigMap')).toMatchObject({
    data: { 'walhook.yaml': mapping },
  })
})

test('the Ingress leads to every page and to the API, and not to metrics and probes', ({ skip }) => {
  needs(skip, ...helm)
  const [rule] = template(...everything).named('Ingress', 'one-walhook').rules
  const paths: { path: string; pathType: string }[] = rule.http.paths
  const leadsTo = (url: string) =>
    paths.some(({ path, pathType }) => url === path || (pathType === 'Prefix' && url.startsWith(`${path}/`)))
  const others = ['/', '/api/webhooks', '/assets/a.css', '/login', '/login/oidc', '/logout', '/enter']
  for (const path of [...pages.map(page => page.path), ...others])
    expect([path, leadsTo(path)]).toEqual([path, true])
  for (const path of ['/metrics', '/livez', '/readyz']) expect([path, leadsTo(path)]).toEqual([path, false])
})

test('a NetworkPolicy lets names be resolved, whatever else it allows', ({ skip }) => {
  needs(skip, ...helm)
  const dns = { ports: ['UDP', 'TCP'].map(protocol => ({ port: 53, protocol })) }
  const own = { to: [{ ipBlock: { cidr: '10.0.0.0/8' } }] }
  const egressOf = (egress: unknown[]) =>
    templateJson({ networkPolicy: { enabled: true, egress } }).named('NetworkPolicy', 'one-walhook').egress
  expect(egressOf([own])).toEqual([dns, own])
  // Pods by their labels, everybody else by address.
  expect(egressOf([])).toMatchObject([
    dns,
    { to: [{ namespaceSelector: {} }, { ipBlock: { cidr: '0.0.0.0/0' } }, { ipBlock: { cidr: '::/0' } }] },
  ])
})

test('files that variables name are there for the migration as for the process', ({ skip }) => {
  needs(skip, ...helm)
  const volumes = [{ name: 'authorities', configMap: { name: 'authorities' } }]
  const volumeMounts = [{ name: 'authorities', mountPath: '/etc/authorities', readOnly: true }]
  for (const mapping of ['', 'entities: {}']) {
    const { spec } = templateJson({ volumes, volumeMounts, mapping }).named(
      'Deployment',
      'one-walhook',
    ).template
    expect(spec.volumes).toEqual(expect.arrayContaining(volumes))
    for (const container of [...spec.containers, ...spec.initContainers])
      expect(container.volumeMounts).toEqual(expect.arrayContaining(volumeMounts))
  }
})

test.for([
  ['config.WALHOOK_SLOTT=a', 'WALHOOK_SLOTT'],
  ['replicas=0', 'replicas'],
  ['existingSecret=', 'existingSecret'],
  ['ingres.enabled=true', 'ingres'],
  ['config.DATABASE_URL=postgres://a', 'DATABASE_URL'],
  ['ingress.enabled=true', 'ingress.host: not set'],
  ['podDisruptionBudget.maxUnavailable=some', 'maxUnavailable'],
  ['ingress.host=https://walhook.example.com', 'ingress/host'],
  ['fullnameOverride=Wal_Hook', 'fullnameOverride'],
  ['extraEnv[0].name=WALHOOK_ROLES', 'extraEnv/0/name'],
])('the value %s is refused by its name', ([value, name], { skip }) => {
  needs(skip, ...helm)
  const { status, stderr } = template(value!)
  expect(status).not.toBe(0)
  expect(stderr).toContain(name)
})

test('Kubernetes knows every field of what it renders', async ({ skip }) => {
  needs(skip, ...helm)
  needs(skip, 'kubernetes-validate', 'pip install kubernetes-validate')
  const folder = await mkdtemp(join(tmpdir(), 'walhook-chart-'))
  const file = join(folder, 'rendered.yaml')
  for (const values of [[], everything]) {
    // What the operator of Prometheus defines is in no schema of Kubernetes.
    const known = template(...values).manifests.filter(({ kind }) => kind !== 'ServiceMonitor')
    expect(known.length).toBeGreaterThan(3)
    await writeFile(file, known.map(manifest => JSON.stringify(manifest)).join('\n---\n'))
    expect(run('kubernetes-validate', '--strict', file)).toMatchObject({ status: 0 })
  }
  await rm(folder, { recursive: true })
})
