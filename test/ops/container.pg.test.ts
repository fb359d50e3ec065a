import { execFile, spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, onTestFinished, test } from 'vitest'
import packageJson from '../../package.json' with { type: 'json' }
import { freePort } from '../../playground/local-port.ts'
import { connect } from '../support/connect.ts'
import { createTestDatabase } from '../support/database.ts'
import { startTestReceiver } from '../support/test-receiver.ts'
import { until } from '../support/wait.ts'
import { adminToken, secretKey } from '../support/walhook-process.ts'

const root = join(import.meta.dirname, '..', '..')
const docker = async (...args: readonly string[]) =>
  (await promisify(execFile)('docker', args, { cwd: root, maxBuffer: 1e8 })).stdout.trim()

/** Where no registry can be reached: an image with Node.js that is on this machine. */
const base = process.env.WALHOOK_NODE_IMAGE || 'node:24-slim'

/** Why the image can't be built here; null: it can. */
async function obstacle(): Promise<string | null> {
  if (spawnSync('docker', ['info']).status !== 0) return 'no Docker engine answers'
  return await docker('image', 'inspect', base)
    .catch(() => docker('pull', base))
    .then(
      () => null,
      () => `the image ${base} is not here and could not be pulled: WALHOOK_NODE_IMAGE names another one`,
    )
}

test('the image is built, checks a database, and delivers read-only, without rights and healthy, until it is stopped', async ({
  skip,
}) => {
  const why = await obstacle()
  if (why) skip(why)
  const image = `walhook:test-${process.pid}`
  const name = image.replace(':', '-')
  onTestFinished(async () => {
    await docker('rm', '--force', name)
    await docker('image', 'rm', '--force', image)
  })
  const args = [`NODE_IMAGE=${base}`, `VERSION=${packageJson.version}`].flatMap(arg => ['--build-arg', arg])
  await docker('build', '--network=host', '-f', 'docker/Dockerfile', ...args, '-t', image, '.')
  const [{ Config }] = JSON.parse(await docker('image', 'inspect', image))
  expect(Config.User).toBe('65532:65532')
  expect(Config.Labels['org.opencontainers.image.version']).toBe(packageJson.version)
  const sbom = await docker('run', '--rm', '--entrypoint', 'cat', image, 'sbom.cdx.json')
  expect(JSON.parse(sbom).components.length).toBeGreaterThan(20)

  await using database = await createTestDatabase()
  await using psql = await connect(database.url)
  await using receiver = await startTestReceiver()
  await psql.query(
    'create table users (id integer primary key); create table companies (id integer primary key)',
  )
  const port = await freePort()
  const settings = {
    ...{
      DATABASE_URL: database.url,
      WALHOOK_SLOT: database.name.slice(0, 63),
      WALHOOK_SECRET_KEY: secretKey,
    },
    ...{ WALHOOK_ADMIN_TOKEN: adminToken, WALHOOK_ALLOW_TARGETS: '127.0.0.1', PORT: `${port}` },
  }
  const env = Object.entries(settings).flatMap(([name, value]) => ['-e', `${name}=${value}`])
  const safely = ['--read-only', '--cap-drop=ALL', '--security-opt=no-new-privileges', '--network=host']
  const lines = JSON.parse(
    await docker('run', '--rm', ...safely, ...env, image, 'check', '--json').catch(error => error.stdout),
  )
  expect(lines.filter(({ level }: { level: string }) => level === 'error')).toEqual([])
  await docker('run', '-d', '--name', name, ...safely, ...env, image)
  const health = async () => await docker('inspect', '--format', '{{.State.Health.Status}}', name)
  await until(async () => (await health()) === 'healthy', { what: 'the container to be healthy' })
  const create = ['webhooks', 'create', '--name', 'A', '--url', receiver.url, '--trigger', 'user.new']
  await docker('exec', name, 'walhook', ...create)
  await psql.query('insert into users values (1)')
  await until(() => receiver.arrivals.length === 1, { what: 'the request' })
  await expect(docker('exec', name, 'touch', '/tmp/file')).rejects.toThrow('Read-only file system')
  await docker('stop', name)
  expect(await docker('inspect', '--format', '{{.State.ExitCode}}', name)).toBe('0')
}, 900_000)
