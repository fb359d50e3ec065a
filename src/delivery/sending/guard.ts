import { promises as dns } from 'node:dns'
import { isIP, type LookupFunction } from 'node:net'
import { isUnknownName } from '../../domain/delivery/outcome.ts'
import { because, type Reason, reasonInEnglish } from '../../domain/shown/reason.ts'
import { withoutBrackets } from '../../domain/value/address.ts'
import {
  checkResolvedAddress,
  checkTargetUrl,
  portOf,
  type Refused,
  type TargetRules,
} from '../../domain/webhook/target.ts'
import { emptyList, type TargetList } from '../../domain/webhook/target-list.ts'
import { readOwnNetworks } from './own-networks.ts'

/** `addresses`: the host's checked addresses (at least one): connect to no others. */
type GuardVerdict =
  | { ok: true; url: URL; addresses: string[] }
  | { ok: false; code: 'blocked_target' | 'dns_error'; reason: string; why: Reason }

/** The lookup's error for a forbidden address; the message is the reason. */
export class TargetBlocked extends Error {
  override readonly name = 'TargetBlocked'
  readonly code = 'EBLOCKED'
  readonly why: Reason

  constructor(why: Reason) {
    super(reasonInEnglish(why))
    this.why = why
  }
}

/** More URLs than a process serves: with one beyond it, each request would check its URL again, which takes as long as signing. */
const maxChecked = 100_000

/** A URL that may be sent to, in the parts that a request needs: `URL` computes each part again whenever it is read. */
type CheckedTarget = { readonly ok: true; readonly origin: string; readonly path: string } | Refused

export type Guard = ReturnType<typeof createGuard>

/**
 * Decides which targets webhooks may reach, for create, change, test and every attempt. `resolve` returns every address of a
 * name (default: the system's resolver). `resolveTimeoutMs` limits a resolution, since getaddrinfo can't be cancelled.
 */
export function createGuard(options: {
  allow: TargetList
  /** Takes precedence over `allow`. */
  deny?: TargetList
  ownNetworks?: () => TargetRules['own']
  resolve?: (hostname: string) => Promise<string[]>
  resolveTimeoutMs?: number
}) {
  const { allow, deny: denied = emptyList, resolve = systemResolve, resolveTimeoutMs = 5000 } = options
  const { currentRules, checkUrl } = createUrlCheck(
    { ...allow, denied },
    options.ownNetworks ?? readOwnNetworks(),
  )
  const resolveOnce = onePerName(resolve)

  /**
   * For create and change: checks the URL, and every present address of its host; one forbidden address refuses. A later
   * connection may resolve differently, which `lookup` checks.
   */
  async function check(urlText: string): Promise<GuardVerdict> {
    const verdict = checkTargetUrl(urlText, currentRules())
    if (!verdict.ok) return { ok: false, code: 'blocked_target', reason: verdict.reason, why: verdict.why }
    const { url } = verdict
    const host = withoutBrackets(url.hostname)
    if (isIP(host) !== 0) return { ok: true, url, addresses: [host] }
    try {
      return { ok: true, url, addresses: await checkedAddresses(host, portOf(url)) }
    } catch (error) {
      if (error instanceof TargetBlocked)
        return { ok: false, code: 'blocked_target', reason: error.message, why: error.why }
      const why = dnsReason(host, error)
      return { ok: false, code: 'dns_error', reason: reasonInEnglish(why), why }
    }
  }

  /**
   * The `lookup` of a socket (https://nodejs.org/api/net.html#socketconnectoptions-connectlistener): resolves once, checks
   * every address, also of other families, and returns checked ones only (`port`: the port to reach, if known). Fails with
   * TargetBlocked, the resolver's own error, or ETIMEOUT.
   */
  const lookup = (
    hostname: string,
    lookupOptions: Parameters<LookupFunction>[1] & { readonly port?: number },
    callback: Parameters<LookupFunction>[2],
  ): void => {
    checkedAddresses(hostname, lookupOptions.port ?? null, familyNumber(lookupOptions.family)).then(
      addresses => {
        const answers = addresses.map(address => ({ address, family: isIP(address) }))
        if (lookupOptions.all) callback(null, answers)
        else callback(null, answers[0]!.address, answers[0]!.family)
      },
      (error: NodeJS.ErrnoException) => callback(error, lookupOptions.all ? [] : ''),
    )
  }

  async function checkedAddresses(hostname: string, port: number | null, family = 0): Promise<string[]> {
    const answers = await withinBound(hostname, resolveOnce, resolveTimeoutMs)
    const rules = currentRules()
    for (const address of answers) {
      const verdict = checkResolvedAddress(hostname, address, rules, port)
      if (!verdict.ok) throw new TargetBlocked(verdict.why)
    }
    const addresses = family === 0 ? answers : answers.filter(address => isIP(address) === family)
    if (addresses.length === 0) throw dnsError('ENOTFOUND', hostname, `${hostname} has no address`)
    return addresses
  }

  return { check, checkUrl, lookup }
}

/** Checks URLs by the rules and the machine's present networks. */
function createUrlCheck(fixed: TargetRules, ownNetworks: () => TargetRules['own']) {
  /** A verdict depends on text and rules only, so each URL is checked once. */
  const checked = new Map<string, CheckedTarget>()
  let rules = fixed

  function currentRules(): TargetRules {
    const own = ownNetworks()
    if (own === rules.own) return rules
    checked.clear()
    rules = { ...fixed, ...(own && { own }) }
    return rules
  }

  /**
   * For every attempt, before connecting: checks the URL itself, since sockets do not call `lookup` for IP literals, and it
   * does not see the scheme.
   */
  function checkUrl(urlText: string): CheckedTarget {
    const rules = currentRules()
    const known = checked.get(urlText)
    if (known) return known
    if (checked.size >= maxChecked) checked.clear()
    const verdict = checkTargetUrl(urlText, rules)
    const target = verdict.ok ? partsOf(verdict.url) : verdict
    checked.set(urlText, target)
    return target
  }

  return { currentRules, checkUrl }
}

const partsOf = (url: URL): CheckedTarget => ({
  ok: true,
  origin: url.origin,
  path: url.pathname + url.search,
})

/**
 * Concurrent resolutions of a name share one. Node has few threads for getaddrinfo, which a hundred requests to a silent name
 * server would occupy.
 */
function onePerName(
  resolve: (hostname: string) => Promise<string[]>,
): (hostname: string) => Promise<string[]> {
  const resolving = new Map<string, Promise<string[]>>()
  return hostname => {
    const pending = resolving.get(hostname)
    if (pending) return pending
    const answers = resolve(hostname).finally(() => resolving.delete(hostname))
    resolving.set(hostname, answers)
    return answers
  }
}

async function systemResolve(hostname: string): Promise<string[]> {
  const answers = await dns.lookup(hostname, { all: true, order: 'verbatim' })
  return answers.map(answer => answer.address)
}

async function withinBound(
  hostname: string,
  resolve: (hostname: string) => Promise<string[]>,
  timeoutMs: number,
): Promise<string[]> {
  const { promise: late, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(() => {
    reject(dnsError('ETIMEOUT', hostname, `${hostname} was not resolved within ${timeoutMs} ms`))
  }, timeoutMs)
  try {
    return await Promise.race([resolve(hostname), late])
  } finally {
    clearTimeout(timer)
  }
}

/** In the resolver's own form, so that callers handle one kind only. */
function dnsError(code: string, hostname: string, message: string): NodeJS.ErrnoException {
  return Object.assign(new Error(message), { code, syscall: 'getaddrinfo', hostname })
}

function dnsReason(host: string, error: unknown): Reason {
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error'
  if (code === 'ETIMEOUT') return because('url.dns_late', { host })
  return isUnknownName(code)
    ? because('url.unresolved', { host, code })
    : because('url.dns_failed', { host, code })
}

function familyNumber(family: number | 'IPv4' | 'IPv6' | undefined): number {
  if (family === 'IPv4') return 4
  return family === 'IPv6' ? 6 : (family ?? 0)
}
