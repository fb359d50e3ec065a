import { execFile, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { until } from './wait.ts'

/**
 * In namespaces of its own: this machine's files below a layer that is thrown away, and then systemd as process 1. A root that is
 * pivoted to and not only changed, because the latter forbids user namespaces. Units of this machine are not started.
 */
const boot = `
set -e
mount --make-rprivate /
mount -t tmpfs tmpfs "$FOLDER"
mkdir "$FOLDER/upper" "$FOLDER/work" "$FOLDER/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$FOLDER/upper,workdir=$FOLDER/work" "$FOLDER/root"
cd "$FOLDER/root"
mount -t proc proc proc
mount --rbind /sys sys
umount --lazy sys/fs/cgroup
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount --rbind /dev dev
mount -t tmpfs tmpfs run
mkdir run/before
pivot_root . run/before
cd /
rm -rf etc/systemd/system etc/systemd/system.conf.d
mkdir -p etc/systemd/system
printf '[Unit]\\nDescription=Nothing of this machine\\n' | tee etc/systemd/system/sysinit.target etc/systemd/system/multi-user.target >run/null
mkdir -p run/given
mount --bind "run/before$GIVEN" run/given
eval "$SETUP"
umount --lazy run/before
mount -t tmpfs tmpfs tmp
container=test exec /lib/systemd/systemd --log-target=null --show-status=no --unit=multi-user.target
`

/** A machine of its own, with the network of this one, whose process 1 is systemd. */
export type SystemdMachine = AsyncDisposable & {
  /** Runs a command in it, and returns what it says. */
  run(...command: readonly string[]): Promise<string>
  /** The processes of a service, by the ids that they have on this machine. */
  pidsOf(service: string): Promise<number[]>
}

/** The mount point of the cgroup tree of version 2; null: there is none. */
async function cgroupTree(): Promise<string | null> {
  const mounts = await readFile('/proc/self/mounts', 'utf8')
  return /^\S+ (\S+) cgroup2 /m.exec(mounts)?.[1] ?? null
}

/** Why none can be started here: it takes the rights of root, and a cgroup tree that can be written to. Null: it can. */
export async function noSystemdMachine(): Promise<string | null> {
  if (spawnSync('unshare', ['-m', '-p', '-f', '-C', '-u', '-i', 'true']).status !== 0)
    return 'namespaces need the rights of root'
  if (spawnSync('/lib/systemd/systemd', ['--version']).error)
    return 'the package systemd of Debian is not here'
  const tree = await cgroupTree()
  if (tree === null || spawnSync('test', ['-w', tree]).status !== 0)
    return 'no cgroup tree of version 2 can be written to'
  return null
}

/**
 * Starts one.
 *
 * @param given a folder of this machine that is there as /run/given
 * @param setup what a shell runs in it before systemd starts: installs, and enables services
 * @throws with what the shell said, where the setup fails
 */
export async function startSystemdMachine(given: string, setup: string): Promise<SystemdMachine> {
  const cgroup = join((await cgroupTree())!, `walhook-test-${process.pid}`)
  mkdirSync(cgroup)
  const folder = await mkdtemp(join(tmpdir(), 'walhook-machine-'))
  const enter = `echo 0 >${cgroup}/cgroup.procs && exec unshare -m -p -f -C -u -i --kill-child sh -c "$BOOT"`
  const child = spawn('sh', ['-c', enter], {
    env: { ...process.env, BOOT: boot, FOLDER: folder, GIVEN: given, SETUP: setup },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', chunk => {
      output += chunk
    })
  const exited = once(child, 'exit')

  /** Process 1 of the machine, by the id that it has here. */
  const first = async () => {
    const children = await readFile(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8')
    return children.trim()
  }
  const run = async (...command: readonly string[]) =>
    (
      await promisify(execFile)('nsenter', ['-t', await first(), '-m', '-p', '-C', '-u', '-i', ...command])
    ).stdout.trim()
  const machine: SystemdMachine = {
    run,
    async pidsOf(service) {
      const listed = await readFile(join(cgroup, 'system.slice', service, 'cgroup.procs'), 'utf8')
      return listed.split('\n').filter(Boolean).map(Number)
    },
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL')
      await exited
      const remove = () => {
        spawnSync('find', [cgroup, '-depth', '-type', 'd', '-exec', 'rmdir', '{}', ';'])
        return spawnSync('test', ['-e', cgroup]).status !== 0
      }
      await until(remove, { what: 'the cgroup to be empty' })
      await rm(folder, { recursive: true })
    },
  }
  await until(
    async () => {
      if (child.exitCode !== null) return true
      return (await run('systemctl', 'list-units')) !== ''
    },
    { what: 'systemd to answer', timeoutMs: 180_000 },
  ).catch(async error => {
    await machine[Symbol.asyncDispose]()
    throw new Error(`${error.message}\n${output}`)
  })
  if (child.exitCode === null) return machine
  await machine[Symbol.asyncDispose]()
  throw new Error(`The machine did not start: ${output}`)
}
