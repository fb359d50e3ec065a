import { type AddressRange, parseAddress } from '../value/address.ts'

/** A shorter prefix is no network of neighbours but a way to everywhere, as tunnels have it. */
const shortestPrefix = { 4: 8, 16: 32 } as const

/**
 * The addresses of a machine and the networks that it is attached to, from its interfaces' addresses as `192.0.2.7/24`. A
 * zone id (`%eth0`) is dropped, and what is no address is skipped.
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
