import { execFile, spawnSync } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import packageJson from '../../package.json' with { type: 'json' }

const root = join(import.meta.dirname, '..', '..')

/**
 * Podman where no systemd runs, and where no process may raise a limit, as in a container of a CI. Builds run in a chroot; containers
 * run by runc, because crun wants a cgroup tree of one version.
 */
const podmanSettings = `
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]
[engine]
runtime = "runc"
`

/** What builds images and runs containers here. Disposing it removes what it built and started. */
export type ContainerEngine = AsyncDisposable & {
  readonly kind: 'docker' | 'podman'
  /** Runs a command that both engines have, and returns what it says. */
  run(...args: readonly string[]): Promise<string>
  /** Builds docker/Dockerfile whole. @param args build arguments, as `NAME=value` */
  build(image: string, args: readonly string[]): Promise<void>
  /** Starts a container that can write nowhere and has no rights, on the network of this machine. */
  start(
    name: string,
    image: string,
    env: Readonly<Record<string, string>>,
    ...command: readonly string[]
  ): Promise<void>
  /** The same for one command, which ends; what it says. Throws, with `stdout`, where it fails. */
  once(image: string, env: Readonly<Record<string, string>>, ...command: readonly string[]): Promise<string>
  /** Whether the health check of the image says that the container is well. */
  isHealthy(name: string): Promise<boolean>
}

/** A Docker engine where one answers, else podman, else null. */
export async function openContainerEngine(): Promise<ContainerEngine | null> {
  const works = (command: string) => spawnSync(command, ['info'], { stdio: 'ignore' }).status === 0
  const kind = works('docker') ? 'docker' : works('podman') ? 'podman' : null
  if (kind === null) return null
  const folder = await mkdtemp(join(tmpdir(), 'walhook-engine-'))
  const settings = join(folder, 'containers.conf')
  await writeFile(settings, podmanSettings)
  const options = { cwd: root, maxBuffer: 1e8, env: { ...process.env, CONTAINERS_CONF: settings } }
  const run = async (...args: readonly string[]) =>
    (await promisify(execFile)(kind, args, options)).stdout.trim()

  // Docker keeps what it built for the next build; of podman each checkout would leave a gigabyte.
  const building = kind === 'docker' ? [] : ['--format=docker', '--isolation=chroot', '--layers=false']
  // Podman gives a read-only container a /tmp to write to, and asks systemd to watch its health.
  const running = kind === 'docker' ? [] : ['--read-only-tmpfs=false', '--health-interval=disable']
  const safely = [
    ...['--read-only', '--cap-drop=ALL', '--security-opt=no-new-privileges', '--network=host'],
    ...running,
  ]
  const given = (env: Readonly<Record<string, string>>) =>
    Object.entries(env).flatMap(([name, value]) => ['-e', `${name}=${value}`])
  const images: string[] = []
  const containers: string[] = []
  return {
    kind,
    run,
    async build(image, args) {
      images.push(image)
      const values = args.flatMap(arg => ['--build-arg', arg])
      await run(
        'build',
        '--network=host',
        ...building,
        '-f',
        'docker/Dockerfile',
        ...values,
        '-t',
        image,
        '.',
      )
    },
    async start(name, image, env, ...command) {
      containers.push(name)
      await run('run', '-d', '--name', name, ...safely, ...given(env), image, ...command)
    },
    once: (image, env, ...command) => run('run', '--rm', ...safely, ...given(env), image, ...command),
    async isHealthy(name) {
      if (kind === 'docker')
        return (await run('inspect', '--format', '{{.State.Health.Status}}', name)) === 'healthy'
      return (await run('healthcheck', 'run', name)) === ''
    },
    async [Symbol.asyncDispose]() {
      for (const name of containers) await run('rm', '--force', name)
      for (const image of images) await run('image', 'rm', '--force', image)
      await rm(folder, { recursive: true })
    },
  }
}

/** An image with Node.js to build on: WALHOOK_NODE_IMAGE, the official one, or the one that `.ci/node-image` made; null: none can be had. */
export async function nodeImage(engine: ContainerEngine): Promise<string | null> {
  const made = `localhost/walhook-ci/node:${packageJson.devDependencies.node}`
  const wanted = process.env.WALHOOK_NODE_IMAGE
  for (const image of wanted ? [wanted] : ['docker.io/library/node:24-slim', made]) {
    const isHere = await engine
      .run('image', 'inspect', image)
      .catch(() => engine.run('pull', image))
      .then(
        () => true,
        () => false,
      )
    if (isHere) return image
  }
  return null
}
