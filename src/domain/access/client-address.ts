import { type AddressRange, parseAddress, parseRange, rangeHolds } from '../value/address.ts'

/** Reads the CIDRs of trusted reverse proxies, separated by commas; or returns the problem. */
export function parseTrustedProxies(
  text: string,
): { ok: true; ranges: readonly AddressRange[] } | { ok: false; problems: readonly string[] } {
  const problems: string[] = []
  const ranges: AddressRange[] = []
  for (const part of text.split(',').map(one => one.trim())) {
    if (part === '') continue
    const read = parseRange(part)
    if (read === null) problems.push(`${JSON.stringify(part)} is no address and no CIDR`)
    else if ('problem' in read) problems.push(`${JSON.stringify(part)} ${read.problem}`)
    else ranges.push(read.range)
  }
  return problems.length > 0 ? { ok: false, problems } : { ok: true, ranges }
}

/** Whether the address belongs to a trusted reverse proxy. */
export function isTrusted(address: string, trusted: readonly AddressRange[]): boolean {
  const bytes = parseAddress(plain(address))
  return bytes !== null && trusted.some(range => rangeHolds(range, bytes))
}

/**
 * The address of the client. `remote` is the peer of the connection. If that is a trusted proxy, `X-Forwarded-For` is read
 * from its right end to the first address that is no trusted proxy: the client wrote everything further left.
 *
 * - An entry that is no address ends the reading.
 * - `Forwarded` (RFC 7239) is ignored: a proxy that does not know it passes on the client's own.
 */
export function clientAddress(
  remote: string,
  forwardedFor: string | undefined,
  trusted: readonly AddressRange[],
): string {
  let at = plain(remote)
  if (forwardedFor === undefined || !isTrusted(at, trusted)) return at
  for (const entry of forwardedFor.split(',').reverse()) {
    const address = addressIn(entry.trim())
    if (address === null) return at
    at = address
    if (!isTrusted(at, trusted)) return at
  }
  return at
}

/** Some proxies append a port: `192.0.2.1:4711`, `[2001:db8::1]:4711`. */
function addressIn(entry: string): string | null {
  const bare = /^\[([^\]]+)\](:\d+)?$/.exec(entry)?.[1] ?? /^([\d.]+):\d+$/.exec(entry)?.[1] ?? entry
  const address = plain(bare)
  return parseAddress(address) === null ? null : address
}

/** An IPv4 address without the IPv6 form that the socket may show (`::ffff:192.0.2.1`). */
function plain(address: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)
  return mapped ? mapped[1]! : address
}
