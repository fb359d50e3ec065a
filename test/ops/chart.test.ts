import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import packageJson from '../../package.json' with { type: 'json' }
import { pages } from '../../src/admin/pages.ts'
import { parsePublicUrls } from '../../src/domain/access/public-url.ts'
import { chart, everything, needsHelm, readChart, run, template, templateJson } from '../support/chart.ts'
import { needs } from '../support/needs.ts'

test('the chart installs the version of the package', async () => {
  expect(await readChart('Chart.yaml')).toContain(`appVersion: "${packageJson.version}"`)
})

test('helm lint finds nothing in the chart', ({ skip }) => {
  needsHelm(skip)
  expect(run('helm', 'lint', '--strict', chart)).toMatchObject({ status: 0 })
})

test('by default every process has all roles', ({ skip }) => {
  needsHelm(skip)
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
    enableServiceLinks: false,
    securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
  })
  expect(JSON.stringify(template('migration.enabled=false').manifests)).not.toContain('"migrate"')
})

test('a Service selects responding pods, also while capture is blocked, and a start waits for every part', ({
  skip,
}) => {
  needsHelm(skip)
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

test('capture can have its own Deployment without a Service', ({ skip }) => {
  needsHelm(skip)
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

test('by default WALHOOK_URL has the hosts of Ingress or Gateway, the Service and a forwarded port', ({
  skip,
}) => {
  needsHelm(skip)
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
  const gateway = [
    'httpRoute.enabled=true',
    'httpRoute.host=walhook.example.com',
    'httpRoute.parentRefs[0].name=a',
  ]
  expect(urlsWith(...gateway)).toEqual([found])
  const own = urlsWith(...behind, 'config.WALHOOK_URL=http://intern.example.com')
  expect(own).toEqual([{ ok: true, urls: [{ protocol: 'http', host: 'intern.example.com' }] }])
})

test('on OpenShift, the namespace chooses the user', ({ skip }) => {
  needsHelm(skip)
  const context = { runAsUser: null, runAsGroup: null }
  const { spec, metadata } = templateJson({ podSecurityContext: context, podLabels: { team: 'data' } }).named(
    'Deployment',
    'one-walhook',
  ).template
  expect(spec.securityContext).toEqual({ runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } })
  expect(metadata.labels).toMatchObject({ team: 'data', 'app.kubernetes.io/component': 'server' })
})

test('a mapping reaches its pods unchanged, and a later one reaches new pods only', ({ skip }) => {
  needsHelm(skip)
  const mapping =
    '  # Indented, "quoted" <b>, and without an end of its last line.\n  entities:\n    user: { table: users }'
  const { manifests, named } = templateJson({ mapping })
  const { metadata, spec } = named('Deployment', 'one-walhook').template
  const [{ downwardAPI, name }] = spec.volumes
  expect(downwardAPI.items).toEqual([
    { path: 'walhook.yaml', fieldRef: { fieldPath: "metadata.annotations['walhook/mapping']" } },
  ])
  expect(metadata.annotations['walhook/mapping']).toBe(mapping)
  for (const { env, volumeMounts } of [...spec.containers, ...spec.initContainers]) {
    expect(env).toContainEqual({ name: 'WALHOOK_CONFIG', value: '/etc/walhook/walhook.yaml' })
    expect(volumeMounts).toEqual([{ name, mountPath: '/etc/walhook', readOnly: true }])
  }
  // Pods of the former version mount what a ConfigMap holds when they restart: during an upgrade, the new mapping.
  expect(manifests.filter(({ kind }) => kind === 'ConfigMap')).toEqual([])
})

test('the pods of one version are spread over zones and hosts', ({ skip }) => {
  needsHelm(skip)
  const spreadOf = (values: Record<string, unknown>, name: string) =>
    templateJson(values).named('Deployment', name).template.spec.topologySpreadConstraints
  for (const [name, component] of [
    ['one-walhook', 'server'],
    ['one-walhook-capture', 'capture'],
  ] as const) {
    const labels = {
      'app.kubernetes.io/name': 'walhook',
      'app.kubernetes.io/instance': 'one',
      'app.kubernetes.io/component': component,
    }
    expect(spreadOf({ splitCapture: true }, name)).toEqual(
      ['topology.kubernetes.io/zone', 'kubernetes.io/hostname'].map(topologyKey => ({
        topologyKey,
        maxSkew: 1,
        whenUnsatisfiable: 'ScheduleAnyway',
        matchLabelKeys: ['pod-template-hash'],
        labelSelector: { matchLabels: labels },
      })),
    )
  }
})

test('a sidecar that the migration needs, such as a database proxy, starts before it', ({ skip }) => {
  needsHelm(skip)
  const proxy = { name: 'proxy', image: 'proxy:2', restartPolicy: 'Always' }
  const startedWith = (enabled: boolean) =>
    templateJson({ extraInitContainers: [proxy], migration: { enabled } })
      .named('Deployment', 'one-walhook')
      .template.spec.initContainers.map(({ name }: { name: string }) => name)
  expect(startedWith(true)).toEqual(['proxy', 'migrate'])
  expect(startedWith(false)).toEqual(['proxy'])
})

test('unready pods do not block the drain of a node', ({ skip }) => {
  needsHelm(skip)
  expect(template().named('PodDisruptionBudget', 'one-walhook')).toMatchObject({
    maxUnavailable: 1,
    unhealthyPodEvictionPolicy: 'AlwaysAllow',
  })
})

test('an Ingress and a Gateway route pages and API, but not metrics and probes', ({ skip }) => {
  needsHelm(skip)
  const { named } = template(...everything)
  const [{ http }] = named('Ingress', 'one-walhook').rules
  const route = named('HTTPRoute', 'one-walhook')
  expect(route).toMatchObject({ parentRefs: [{ name: 'public' }], hostnames: ['walhook.example.com'] })
  const matches: { path: { value: string; type: string } }[] = route.rules.flatMap(
    (rule: { matches: object[] }) => rule.matches,
  )
  for (const { matches, backendRefs } of route.rules) {
    expect(matches.length).toBeLessThanOrEqual(8)
    expect(backendRefs).toEqual([{ name: 'one-walhook', port: 80 }])
  }
  const ofIngress: { value: string; isPrefix: boolean }[] = http.paths.map(
    ({ path, pathType }: { path: string; pathType: string }) => ({
      value: path,
      isPrefix: pathType === 'Prefix',
    }),
  )
  const ofGateway = matches.map(({ path: { value, type } }) => ({ value, isPrefix: type === 'PathPrefix' }))
  const others = ['/', '/api/webhooks', '/assets/a.css', '/login', '/login/oidc', '/logout', '/enter']
  for (const paths of [ofIngress, ofGateway]) {
    const leadsTo = (url: string) =>
      paths.some(({ value, isPrefix }) => url === value || (isPrefix && url.startsWith(`${value}/`)))
    for (const path of [...pages.map(page => page.path), ...others])
      expect([path, leadsTo(path)]).toEqual([path, true])
    for (const path of ['/metrics', '/livez', '/readyz']) expect([path, leadsTo(path)]).toEqual([path, false])
  }
})

test('a NetworkPolicy always allows DNS', ({ skip }) => {
  needsHelm(skip)
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

test('files named by variables are mounted for the migration too', ({ skip }) => {
  needsHelm(skip)
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

test('every rendered field is known to Kubernetes', async ({ skip }) => {
  needsHelm(skip)
  needs(skip, 'kubernetes-validate', 'pip install kubernetes-validate')
  const folder = await mkdtemp(join(tmpdir(), 'walhook-chart-'))
  const file = join(folder, 'rendered.yaml')
  for (const values of [[], everything]) {
    // What others define is in no schema of Kubernetes.
    const others = ['ServiceMonitor', 'HTTPRoute']
    const known = template(...values).manifests.filter(({ kind }) => !others.includes(kind))
    expect(known.length).toBeGreaterThan(3)
    await writeFile(file, known.map(manifest => JSON.stringify(manifest)).join('\n---\n'))
    expect(run('kubernetes-validate', '--strict', file)).toMatchObject({ status: 0 })
  }
  await rm(folder, { recursive: true })
})
