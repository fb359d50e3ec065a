import { networkInterfaces } from 'node:os'
import type { AddressRange } from '../../domain/value/address.ts'
import { ownNetworks } from '../../domain/webhook/own-networks.ts'
import { describeError } from '../../runtime/log.ts'

/** Interfaces change: containers, tunnels, DHCP. */
const rereadMs = 5_000

/**
 * Returns a function that reads the machine's addresses and networks; an unchanged result is the same object.
 *
 * @throws at once where the system refuses to list them: each request would fail otherwise
 */
export function readOwnNetworks(
  nowMs: () => number = () => performance.now(),
  read: () => readonly string[] = readCidrs,
): () => readonly AddressRange[] {
  let known: { text: string; ranges: readonly AddressRange[] } | null = null
  let readAtMs = Number.NEGATIVE_INFINITY
  const current = () => {
    if (known && nowMs() - readAtMs < rereadMs) return known.ranges
    readAtMs = nowMs()
    const cidrs = listed(read)
    const text = cidrs.join()
    if (known?.text !== text) known = { text, ranges: ownNetworks(cidrs) }
    return known.ranges
  }
  current()
  return current
}

function listed(read: () => readonly string[]): readonly string[] {
  try {
    return read()
  } catch (error) {
    throw new Error(
      `the system does not list this machine's network addresses, which webhooks must not reach: ${describeError(error)}. Fix: allow the address family AF_NETLINK (systemd: RestrictAddressFamilies)`,
    )
  }
}

/** As `192.0.2.7/24`. */
function readCidrs(): string[] {
  return Object.values(networkInterfaces()).flatMap(
    addresses => addresses?.map(({ address, cidr }) => cidr ?? address) ?? [],
  )
}
