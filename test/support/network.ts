import { execFile, spawnSync } from 'node:child_process'
import { promisify } from 'node:util'

const ip = async (...args: string[]) => (await promisify(execFile)('ip', args)).stdout
const run = async (...args: string[]) => void (await ip(...args))

/** Why hosts of their own cannot be made on this machine, or null. */
export function whyNoNetwork(): string | null {
  const name = `wh${process.pid}x`
  // What a namespace, a link and a command in it need may each be forbidden.
  const tries = [
    ['netns', 'add', name],
    ['-n', name, 'link', 'add', 'name', 'a', 'type', 'bridge'],
    ['link', 'add', name, 'type', 'veth', 'peer', 'name', 'b', 'netns', name],
    ['netns', 'exec', name, 'true'],
  ]
  try {
    for (const args of tries) {
      const { error, status, stderr } = spawnSync('ip', args, { encoding: 'utf8' })
      if (error) return 'ip is not here: apt-get install iproute2'
      if (status !== 0) return `ip ${args.join(' ')} is not permitted here: ${stderr.trim()}`
    }
    return null
  } finally {
    spawnSync('ip', ['netns', 'del', name])
  }
}

/** Why links can't be made slow here, or null. */
export function whyNoDelays(): string | null {
  const name = `wh${process.pid}y`
  try {
    spawnSync('ip', ['netns', 'add', name])
    const args = ['-n', name, 'qdisc', 'add', 'dev', 'lo', 'root', 'netem', 'delay', '1ms']
    const { error, status, stderr } = spawnSync('tc', args, { encoding: 'utf8' })
    if (error) return 'tc is not here: apt-get install iproute2'
    return status === 0 ? null : `the kernel has no netem (modprobe sch_netem): ${stderr.trim()}`
  } finally {
    spawnSync('ip', ['netns', 'del', name])
  }
}

/** One of the networks that every host is in: where the database is, and where receivers are. */
export type Net = 'database' | 'receiver'

export type TestHost = {
  /** What a command begins with that runs on this host. */
  readonly prefix: readonly string[]
  readonly addresses: Readonly<Record<Net, string>>
  /** Its link to a network is down: nothing arrives, and nobody is told. */
  cut(net: Net): Promise<void>
  heal(net: Net): Promise<void>
  /** What it sends to one address is lost, until `finds`; everything else arrives. */
  loses(address: string): Promise<void>
  finds(address: string): Promise<void>
  /** What it sends to a network is late by 50 to 150 ms, and one packet in fifty is lost. */
  slows(net: Net): Promise<void>
}

export type TestNetwork = AsyncDisposable & {
  /** Of this process, where it is reached from all hosts, in each network. */
  readonly here: Readonly<Record<Net, string>>
  readonly hosts: readonly TestHost[]
}

const nets: readonly Net[] = ['database', 'receiver']

/**
 * Hosts with addresses of their own on this machine: a network namespace each, with a link to two switches. The switches are bridges in a
 * namespace of their own, so that no rule of this machine's own firewall counts for what they pass on. Addresses are from the
 * range for tests of networks (https://www.rfc-editor.org/rfc/rfc2544). All of it goes with its namespaces.
 */
export async function openNetwork(count: number): Promise<TestNetwork> {
  const id = `wh${process.pid}${Math.random().toString(36).slice(2, 4)}`
  const switches = `${id}s`
  const taken = await ip('-4', '-o', 'address')
  const free = Array.from({ length: 254 }, (_, at) => 1 + at).filter(
    third => !taken.includes(`198.18.${third}.`),
  )
  // Any of them: another process may choose at the same moment.
  const third = free[Math.floor(Math.random() * free.length)]!
  const addressOf = (net: Net, host: number) => `198.${18 + nets.indexOf(net)}.${third}.${host}`
  const names = Array.from({ length: count }, (_, at) => `${id}h${at}`)
  const all = [switches, ...names]
  const dispose = async () => {
    for (const name of all) await run('netns', 'del', name).catch(() => {})
    for (const at of nets.keys()) await run('link', 'del', `${id}t${at}`).catch(() => {})
  }
  try {
    for (const name of all) {
      await run('netns', 'add', name)
      await run('-n', name, 'link', 'set', 'lo', 'up')
    }
    for (const [at, net] of nets.entries()) {
      const bridge = `br${at}`
      await run('-n', switches, 'link', 'add', 'name', bridge, 'type', 'bridge')
      await run('-n', switches, 'link', 'set', bridge, 'up')
      const plugIn = async (
        port: string,
        within: readonly string[],
        interfaceName: string,
        address: string,
      ) => {
        await run('-n', switches, 'link', 'set', port, 'master', bridge, 'up')
        await run(...within, 'address', 'add', `${address}/24`, 'dev', interfaceName)
        await run(...within, 'link', 'set', interfaceName, 'up')
      }
      const near = `${id}t${at}`
      await run('link', 'add', near, 'type', 'veth', 'peer', 'name', `t${at}`, 'netns', switches)
      await plugIn(`t${at}`, [], near, addressOf(net, 1))
      for (const [host, name] of names.entries()) {
        const port = `h${host}p${at}`
        await run(
          '-n',
          name,
          'link',
          'add',
          `eth${at}`,
          'type',
          'veth',
          'peer',
          'name',
          port,
          'netns',
          switches,
        )
        await plugIn(port, ['-n', name], `eth${at}`, addressOf(net, 11 + host))
      }
    }
  } catch (error) {
    await dispose()
    throw error
  }
  const neighbour = (name: string, what: string, address: string, ...more: string[]) => {
    const at = nets.findIndex((_, at) => address.startsWith(`198.${18 + at}.`))
    return run('-n', name, 'neigh', what, address, 'dev', `eth${at}`, ...more)
  }
  const set = (host: number, net: Net, state: 'up' | 'down') =>
    run('-n', switches, 'link', 'set', `h${host}p${nets.indexOf(net)}`, state)
  return {
    here: { database: addressOf('database', 1), receiver: addressOf('receiver', 1) },
    hosts: names.map((name, host) => ({
      prefix: ['ip', 'netns', 'exec', name],
      addresses: { database: addressOf('database', 11 + host), receiver: addressOf('receiver', 11 + host) },
      cut: net => set(host, net, 'down'),
      heal: net => set(host, net, 'up'),
      // No such interface is on the switch.
      loses: address =>
        neighbour(name, 'replace', address, 'lladdr', '02:00:00:00:00:01', 'nud', 'permanent'),
      finds: address => neighbour(name, 'del', address),
      async slows(net) {
        const link = ['dev', `eth${nets.indexOf(net)}`, 'root', 'netem']
        const args = ['-n', name, 'qdisc', 'add', ...link, 'delay', '100ms', '50ms', 'loss', '2%']
        await promisify(execFile)('tc', args)
      },
    })),
    [Symbol.asyncDispose]: dispose,
  }
}
