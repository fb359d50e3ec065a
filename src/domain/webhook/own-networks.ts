import { type AddressRange, parseAddress } from '../value/address.ts'

/** A shorter prefix is a tunnel to everywhere, not a network of neighbours. */
const shortestPrefix = { 4: 8, 16: 32 } as const

/**
 * The addresses and networks of this machine, from its interfaces (`192.0.2.7/24`). Zone ids (`%eth0`) are removed, invalid
 * addresses skipped.
 */
export function ownNetworks(cidrs: readonly string[]): AddressRange[] {
  return cidrs.flatMap(cidr => {
    const [address = '', prefix] = cidr.replace(/%[^/]*/, '').split('/')
    const bytes = parseAddress(address)
    if (bytes === null) return []
    const bits = bytes.length * 8
    const own: AddressRange = { bytes, prefixBits: bits }
    const prefixBits = prefix === undefined ? bits : Number(prefix)
    const isNetwork = prefixBits >= shortestPrefix[bytes.length as 4 | 16] && prefixBits < bits
    return isNetwork ? [own, { bytes, prefixBits }] : [own]
  })
}
