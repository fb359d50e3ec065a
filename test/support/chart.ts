import { spawnSync } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseAllDocuments } from 'yaml'
import { needs } from './needs.ts'

export const chart = join(import.meta.dirname, '..', '..', 'ops', 'helm', 'walhook')
export const readChart = (...path: string[]) => readFile(join(chart, ...path), 'utf8')
export const run = (command: string, ...args: string[]) => spawnSync(command, args, { encoding: 'utf8' })
export const needsHelm = (skip: (reason: string) => never) =>
  needs(skip, 'helm', 'go install helm.sh/helm/v3/cmd/helm@v3.19.5')

export type Manifest = {
  kind: string
  metadata: { name: string; labels: Record<string, string> }
  // biome-ignore lint/suspicious/noExplicitAny: what is in it differs by kind
  spec: any
}

/** Values that turn everything on. */
export const everything = [
  ...[
    'splitCapture=true',
    'networkPolicy.enabled=true',
    'serviceMonitor.enabled=true',
    'ingress.enabled=true',
  ],
  ...['ingress.host=walhook.example.com', 'ingress.tlsSecret=tls', 'ingress.className=nginx'],
  ...['httpRoute.enabled=true', 'httpRoute.host=walhook.example.com', 'httpRoute.parentRefs[0].name=public'],
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

export const template = (...values: string[]) => rendered(values.flatMap(value => ['--set', value]))

/** As from a file: numbers of a `--set` are others to helm. */
export const templateJson = (values: Record<string, unknown>) =>
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
