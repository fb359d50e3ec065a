import { exec, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { copyFile, mkdtemp, readFile, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { parse } from 'yaml'
import packageJson from '../../package.json' with { type: 'json' }

const root = join(import.meta.dirname, '..', '..')
const read = (file: string) => readFile(join(root, 'docker', file), 'utf8')

test('the image has labels, does not run as root, and reports its health', async () => {
  const dockerfile = await read('Dockerfile')
  for (const label of ['title', 'description', 'licenses', 'version', 'revision', 'base.name'])
    expect(dockerfile).toMatch(new RegExp(`org\\.opencontainers\\.image\\.${label}="[^"]+"`))
  expect(dockerfile).toMatch(/^USER [1-9]\d*:[1-9]\d*$/m)
  expect(dockerfile).toMatch(/^HEALTHCHECK .* CMD \["node", "health.js"\]$/m)
})

test.for([
  ['everywhere', '0.0.0.0', '127.0.0.1', {}, 0],
  ['at one address', '127.0.0.2', '127.0.0.2', {}, 0],
  [
    'here, although requests to others use a proxy',
    '127.0.0.1',
    '127.0.0.1',
    { NODE_USE_ENV_PROXY: '1', HTTP_PROXY: 'http://127.0.0.1:1' },
    0,
  ],
  ['at another address than asked', '127.0.0.2', '127.0.0.1', {}, 1],
  ['nowhere, without the role api', '127.0.0.1', null, { WALHOOK_ROLES: ' capture, delivery' }, 0],
  ['nowhere, although it has the role api', '127.0.0.1', null, { WALHOOK_ROLES: 'capture, api' }, 1],
] as const)('the health check of a container that listens %s', async ([, HOST, at, env, status]) => {
  const asked: (string | undefined)[] = []
  const server = createServer((request, response) => {
    asked.push(request.url)
    response.end('ok')
  })
  await new Promise<void>(resolve => server.listen(0, at ?? '127.0.0.3', resolve))
  const PORT = String((server.address() as AddressInfo).port)
  const child = spawn(process.execPath, [join(root, 'docker', 'health.js')], {
    env: { ...process.env, HOST, PORT, ...env },
  })
  expect((await once(child, 'exit'))[0]).toBe(status)
  expect(asked).toEqual(status === 0 && at !== null ? ['/readyz'] : [])
  await new Promise(resolve => server.close(resolve))
})

test('every file that builds or starts the image names the version of the package', async () => {
  const { version } = packageJson
  expect(await read('bake.hcl')).toContain(`variable "VERSION" {\n  default = "${version}"`)
  const guide = await readFile(join(root, 'docs', 'guide', 'install.md'), 'utf8')
  expect(new Set(guide.match(/(?<=walhook[:-]|VERSION=)\d+\.\d+\.\d+/g))).toEqual(new Set([version]))
  const { 'x-walhook': service, ...rest } = parse(await read('compose.yaml'), { merge: true })
  // What docker-compose 1.29 of Debian 12 knows.
  expect(Object.keys(rest)).toEqual(['services', 'volumes'])
  // With `:?`, a terminal without the variables could not even run `logs` and `down`.
  expect(await read('compose.yaml')).not.toContain(':?')
  expect(service).toMatchObject({
    image: `\${WALHOOK_IMAGE:-walhook:${version}}`,
    build: { args: { VERSION: version } },
    read_only: true,
    cap_drop: ['ALL'],
    security_opt: ['no-new-privileges:true'],
  })
})

test("the image's SBOM lists exactly its packages", async () => {
  const folder = await mkdtemp(join(tmpdir(), 'walhook-sbom-'))
  const dockerfile = await read('Dockerfile')
  const stage = /^FROM \S+ AS dependencies\n(.*?)^FROM /ms.exec(dockerfile)![1]!
  for (const file of ['package.json', 'package-lock.json', '.npmrc'])
    await copyFile(join(root, file), join(folder, file))
  for (const [, command] of stage.matchAll(/^RUN (.*)$/gm))
    await promisify(exec)(command!.replace('&& npm cache clean --force', '--prefer-offline'), { cwd: folder })
  const sbom = JSON.parse(await readFile(join(folder, 'sbom.cdx.json'), 'utf8'))
  expect(sbom).toMatchObject({
    bomFormat: 'CycloneDX',
    metadata: { component: { version: packageJson.version } },
  })
  const purls: string[] = sbom.components.map(({ purl }: { purl: string }) => decodeURIComponent(purl))
  for (const [name, version] of Object.entries(packageJson.dependencies))
    expect(purls).toContain(`pkg:npm/${name}@${version}`)
  const installed = JSON.parse(await readFile(join(folder, 'node_modules', '.package-lock.json'), 'utf8'))
  expect(purls).toHaveLength(Object.keys(installed.packages).length)
  await rm(folder, { recursive: true })
})

test('buildx reads the bake file: two platforms, an SBOM and provenance', ({ skip }) => {
  if (spawnSync('docker', ['buildx', 'version']).status !== 0) skip('docker buildx is not here')
  const ran = spawnSync('docker', ['buildx', 'bake', '-f', 'docker/bake.hcl', '--print'], {
    cwd: root,
    encoding: 'utf8',
  })
  expect(ran.status, ran.stderr).toBe(0)
  const { walhook } = JSON.parse(ran.stdout).target
  expect(walhook.platforms).toEqual(['linux/amd64', 'linux/arm64'])
  expect(JSON.stringify(walhook.attest)).toMatch(/provenance.*sbom/)
})
