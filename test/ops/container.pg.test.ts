import { Webhook } from 'standardwebhooks'
import { expect, test } from 'vitest'
import packageJson from '../../package.json' with { type: 'json' }
import { freePort } from '../../playground/local-port.ts'
import { connect } from '../support/connect.ts'
import { nodeImage, openContainerEngine } from '../support/container-engine.ts'
import { createTestDatabase } from '../support/database.ts'
import { type Arrival, startTestReceiver } from '../support/test-receiver.ts'
import { until } from '../support/wait.ts'
import { adminToken, secretKey } from '../support/walhook-process.ts'

test('the built image checks a database, and delivers with a read-only root, without privileges, and healthy', async ({
  skip,
}) => {
  await using engine = await openContainerEngine()
  if (!engine) return skip('neither a Docker engine nor podman is here')
  const base = await nodeImage(engine)
  if (!base) return skip('no image with Node.js can be had: WALHOOK_NODE_IMAGE names one')
  const image = `walhook:test-${process.pid}`
  const name = image.replace(':', '-')
  await engine.build(image, [`NODE_IMAGE=${base}`, `VERSION=${packageJson.version}`])
  const [{ Config }] = JSON.parse(await engine.run('image', 'inspect', image))
  expect(Config.User).toBe('65532:65532')
  expect(Config.Labels['org.opencontainers.image.version']).toBe(packageJson.version)
  const sbom = await engine.run(
    'run',
    '--rm',
    '--network=host',
    '--entrypoint',
    'cat',
    image,
    'sbom.cdx.json',
  )
  expect(JSON.parse(sbom).components.length).toBeGreaterThan(20)

  const receiverName = `${name}-receiver`
  await engine.start(receiverName, image, {}, 'listen', `--port=${await freePort()}`)
  await until(() => engine.isHealthy(receiverName), { what: 'the container of a receiver to be healthy' })

  await using database = await createTestDatabase()
  await using psql = await connect(database.url)
  await using receiver = await startTestReceiver()
  await psql.query(
    'create table users (id integer primary key); create table companies (id integer primary key)',
  )
  const env = {
    DATABASE_URL: database.url,
    WALHOOK_SLOT: database.name.slice(0, 63),
    WALHOOK_SECRET_KEY: secretKey,
    WALHOOK_ADMIN_TOKEN: adminToken,
    WALHOOK_ALLOW_TARGETS: '127.0.0.1',
    PORT: `${await freePort()}`,
  }
  const lines = JSON.parse(await engine.once(image, env, 'check', '--json').catch(error => error.stdout))
  expect(lines.filter(({ level }: { level: string }) => level === 'error')).toEqual([])
  await engine.start(name, image, env)
  await until(() => engine.isHealthy(name), { what: 'the container to be healthy' })
  const create = [
    'webhooks',
    'create',
    '--name',
    'A',
    '--url',
    receiver.url,
    '--trigger',
    'user.new',
    '--json',
  ]
  const { secret } = JSON.parse(await engine.run('exec', name, 'walhook', ...create))
  await psql.query('insert into users values (1)')
  await until(() => receiver.arrivals.length === 1, { what: 'the request' })
  const [{ body, headers }] = receiver.arrivals as [Arrival]
  expect(new Webhook(secret).verify(body, headers as Record<string, string>)).toMatchObject({
    entity_id: 1,
  })
  await expect(engine.run('exec', name, 'touch', '/tmp/file')).rejects.toThrow('Read-only file system')
  await engine.run('stop', name)
  expect(await engine.run('inspect', '--format', '{{.State.ExitCode}}', name)).toBe('0')
}, 900_000)
