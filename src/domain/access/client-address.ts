import { type AddressRange, parseAddress, parseRange, rangeHolds } from '../value/address.ts'

/** Reads CIDRs separated by commas, each a network of reverse proxies that are believed; or what is wrong with them. */
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

/** Whether a connection from this address is one of a reverse proxy that is believed. */
export function isTrusted(address: string, trusted: readonly AddressRange[]): boolean {
  const bytes = parseAddress(plain(address))
  return bytes !== null && trusted.some(range => rangeHolds(range, bytes))
}

/**
 * The address of whoever sent a request. `remote` is where the connection comes from; where that is a trusted proxy, it
 * is what the proxy says by `X-Forwarded-For`. Each proxy appends the address it saw, so the list is read from its right end
 * to the first that is not a trusted proxy itself: whatever stands left of that was written by the client. An entry that
 * is no address ends the reading. `Forwarded` (RFC 7239) is not read: a client may send it through a proxy that does not know it.
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

/** Some proxies write a port behind the address: `192.0.2.1:4711`, `[2001:db8::1]:4711`. */
function addressIn(entry: string): string | null {
  const bare = /^\[([^\]]+)\](:\d+)?$/.exec(entry)?.[1] ?? /^([\d.]+):\d+$/.exec(entry)?.[1] ?? entry
  const address = plain(bare)
  return parseAddress(address) === null ? null : address
}

/** An IPv4 address as such, also where the socket shows it as IPv6 (`::ffff:192.0.2.1`). */
function plain(address: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)
  return mapped ? mapped[1]! : address
}
