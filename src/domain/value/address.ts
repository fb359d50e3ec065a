import { isIP } from 'node:net'

/** A CIDR: the first `prefixBits` bits of `bytes` (4 of them for IPv4, 16 for IPv6). */
export type AddressRange = { readonly bytes: Uint8Array; readonly prefixBits: number }

/**
 * Parses an IP address into its 4 or 16 bytes; null: invalid. IPv6 may be shortened with `::` and end in dotted IPv4 (RFC
 * 4291 section 2.2). Refused: a zone id (`%eth0`), which is local to one machine, brackets, and other spellings of IPv4.
 */
export function parseAddress(text: string): Uint8Array | null {
  const family = text.includes('%') ? 0 : isIP(text)
  if (family === 0) return null
  if (family === 4) return Uint8Array.from(text.split('.'), Number)
  const hex = text.replace(/[0-9]+\.[0-9.]+$/, dotted => {
    const [a, b, c, d] = dotted.split('.').map(Number)
    return `${((a! << 8) | b!).toString(16)}:${((c! << 8) | d!).toString(16)}`
  })
  const [head, tail] = hex.split('::').map(side => (side === '' ? [] : side.split(':')))
  const zeros = tail === undefined ? 0 : 8 - head!.length - tail.length
  const groups = [...head!, ...Array<string>(zeros).fill('0'), ...(tail ?? [])]
  return Uint8Array.from(groups.flatMap(group => [parseInt(group, 16) >> 8, parseInt(group, 16) & 0xff]))
}

/**
 * Parses a CIDR, or a single address as a range of one; null: no address precedes the slash. A problem continues a sentence
 * that begins with the text, and contains the fix.
 */
export function parseRange(text: string): { range: AddressRange } | { problem: string } | null {
  const slash = text.indexOf('/')
  const address = slash < 0 ? text : text.slice(0, slash)
  const bytes = parseAddress(address)
  if (bytes === null) return null
  const maxBits = bytes.length * 8
  const prefix = slash < 0 ? String(maxBits) : text.slice(slash + 1)
  const prefixBits = Number(prefix)
  if (!/^[0-9]{1,3}$/.test(prefix) || prefixBits > maxBits) {
    return { problem: `needs a whole number from 0 to ${maxBits} after the slash` }
  }
  if (bytes.some((byte, index) => (byte & ~byteMask(prefixBits, index)) !== 0)) {
    const network = networkOf(bytes, prefixBits)
    return {
      problem: `is not the first address of its range: write ${network}, or ${address} for that one alone`,
    }
  }
  return { range: { bytes, prefixBits } }
}

/** The host of a URL for sockets and resolvers: IPv6 without brackets. */
export function withoutBrackets(hostname: string): string {
  return hostname.startsWith('[') && hostname.endsWith(']') ? hostname.slice(1, -1) : hostname
}

/** Whether a range contains an address (4 or 16 bytes); false across IPv4 and IPv6. */
export function rangeHolds({ bytes, prefixBits }: AddressRange, address: Uint8Array): boolean {
  if (bytes.length !== address.length) return false
  return bytes.every((byte, index) => ((byte ^ address[index]!) & byteMask(prefixBits, index)) === 0)
}

function byteMask(prefixBits: number, index: number): number {
  const bits = Math.min(8, Math.max(0, prefixBits - index * 8))
  return (0xff << (8 - bits)) & 0xff
}

/** The intended range of an address with bits after the prefix, for the fix. */
function networkOf(bytes: Uint8Array, prefixBits: number): string {
  const first = bytes.map((byte, index) => byte & byteMask(prefixBits, index))
  if (first.length === 4) return `${first.join('.')}/${prefixBits}`
  const groups = Array.from({ length: 8 }, (_, i) => ((first[i * 2]! << 8) | first[i * 2 + 1]!).toString(16))
  const hostname = URL.parse(`https://[${groups.join(':')}]/`)!.hostname
  return `${withoutBrackets(hostname)}/${prefixBits}`
}
