import { spawnSync } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { parseAllDocuments } from 'yaml'
import schema from '../../ops/helm/walhook/values.schema.json' with { type: 'json' }
import packageJson from '../../package.json' with { type: 'json' }
import { variables } from '../../src/variables.ts'
import { needs } from '../support/needs.ts'

const chart = join(import.meta.dirname, '..', '..', 'ops', 'helm', 'walhook')
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

function template(...values: string[]) {
  const ran = run('helm', 'template', 'one', chart, ...values.flatMap(value => ['--set', value]))
  const manifests = parseAllDocuments(ran.stdout).flatMap(document => document.toJS() ?? []) as Manifest[]
  const named = (kind: string, name: string) =>
    manifests.find(each => each.kind === kind && each.metadata.name === name)?.spec
  return { ...ran, manifests, named }
}

test('the values name every variable of walhook that is no secret, and no other', async () => {
  const helpers = await readFile(join(chart, 'templates', '_helpers.tpl'), 'utf8')
  const secrets = [...helpers.matchAll(/range \$name := list ((?:"\w+" ?)+)/g)].flatMap(([, names]) =>
    [...names!.matchAll(/"(\w+)"/g)].map(([, name]) => name!),
  )
  // The chart sets them, or they are of commands.
  const own = ['PORT', 'WALHOOK_ROLES', 'WALHOOK_CONFIG', 'WALHOOK_TOKEN']
  const configured = Object.keys(schema.properties.config.properties)
  expect([...secrets, ...own, ...configured].sort()).toEqual(Object.keys(variables).sort())
})

test('the chart installs the version of the package', async () => {
  expect(await readFile(join(chart, 'Chart.yaml'), 'utf8')).toContain(`appVersion: "${packageJson.version}"`)
})

test('the chart has no lint', ({ skip }) => {
  needs(skip, ...helm)
  expect(run('helm', 'lint', '--strict', chart)).toMatchObject({ status: 0 })
})

test('by default every process does everything, and pages stay reachable while capture is blocked', ({
  skip,
}) => {
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
  expect(named('Service', 'one-walhook').publishNotReadyAddresses).toBe(true)
  expect(JSON.stringify(template('migration.enabled=false').manifests)).not.toContain('"migrate"')
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
  expect(named('Service', 'one-walhook').publishNotReadyAddresses).toBeUndefined()
  expect(named('Ingress', 'one-walhook').tls).toEqual([{ secretName: 'tls', hosts: ['walhook.example.com'] }])
  expect(named('NetworkPolicy', 'one-walhook').policyTypes).toEqual(['Ingress', 'Egress'])
  // Both Services have the label that becomes the job: the alerts compare processes of one job.
  const { jobLabel } = named('ServiceMonitor', 'one-walhook')
  const services = manifests.filter(({ kind }) => kind === 'Service')
  expect(services.map(({ metadata }) => metadata.labels[jobLabel])).toEqual(['one', 'one'])
})

test.for([
  ['config.WALHOOK_SLOTT=a', 'WALHOOK_SLOTT'],
  ['replicas=0', 'replicas'],
  ['existingSecret=', 'existingSecret'],
  ['ingres.enabled=true', 'ingres'],
  ['config.DATABASE_URL=postgres://a', 'DATABASE_URL'],
  ['ingress.enabled=true', 'ingress.host: not set'],
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
