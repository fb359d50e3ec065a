import { promises as dns } from 'node:dns'
import { isIP, type LookupFunction } from 'node:net'
import { isUnknownName } from '../../domain/delivery/outcome.ts'
import { because, type Reason } from '../../domain/shown/reason.ts'
import { sayInEnglish } from '../../domain/shown/reason-texts.ts'
import { withoutBrackets } from '../../domain/value/address.ts'
import {
  judgeResolvedAddress,
  judgeUrl,
  portOf,
  type TargetRules,
  type UrlVerdict,
} from '../../domain/webhook/target.ts'
import { emptyList, type TargetList } from '../../domain/webhook/target-list.ts'
import { readOwnNetworks } from './own-networks.ts'

/** `addresses` are what the host resolved to (at least one), all judged: connect to them and no others. */
export type GuardVerdict =
  | { ok: true; url: URL; addresses: string[] }
  | { ok: false; code: 'blocked_target' | 'dns_error'; reason: string; why: Reason }

/** What the guard's lookup ends a connection with when an answer is forbidden; the message is the reason. */
export class TargetBlocked extends Error {
  override readonly name = 'TargetBlocked'
  readonly code = 'EBLOCKED'
  readonly why: Reason

  constructor(why: Reason) {
    super(sayInEnglish(why))
    this.why = why
  }
}

const mostJudged = 2_000

export type Guard = ReturnType<typeof createGuard>

/**
 * Decides which targets webhooks reach; one guard serves create, change, test and every attempt.
 * `resolve` gives every address of a host name (default: the system's resolver, in its own order).
 * `resolveTimeoutMs` bounds one resolution, since getaddrinfo cannot be cancelled and may take much longer.
 */
export function createGuard(options: {
  allow: TargetList
  /** Goes before `allow`. */
  deny?: TargetList
  ownNetworks?: () => TargetRules['own']
  resolve?: (hostname: string) => Promise<string[]>
  resolveTimeoutMs?: number
}) {
  const { allow, deny: denied = emptyList, resolve = systemResolve, resolveTimeoutMs = 5000 } = options
  const { currentRules, judgeTarget } = createUrlJudge(
    { ...allow, denied },
    options.ownNetworks ?? readOwnNetworks(),
  )
  const resolveOnce = onePerName(resolve)

  /**
   * For create and change: judges the URL, resolves its host once and judges every answer; one forbidden answer
   * refuses. It says nothing about a later connection, whose answers may differ: that is for `lookup`.
   */
  async function judge(urlText: string): Promise<GuardVerdict> {
    const verdict = judgeUrl(urlText, currentRules())
    if (!verdict.ok) return { ok: false, code: 'blocked_target', reason: verdict.reason, why: verdict.why }
    const { url } = verdict
    const host = withoutBrackets(url.hostname)
    if (isIP(host) !== 0) return { ok: true, url, addresses: [host] }
    try {
      return { ok: true, url, addresses: await judgedAddresses(host, portOf(url)) }
    } catch (error) {
      if (error instanceof TargetBlocked)
        return { ok: false, code: 'blocked_target', reason: error.message, why: error.why }
      const why = dnsReason(host, error)
      return { ok: false, code: 'dns_error', reason: sayInEnglish(why), why }
    }
  }

  /**
   * The `lookup` of a socket (https://nodejs.org/api/net.html#socketconnectoptions-connectlistener): resolves
   * once, judges every answer, also those of a family that was not asked for, and hands over judged addresses
   * only (`port`: where they are to be reached, if that is known). Fails with TargetBlocked, or with the resolver's own error as it came; an answer that takes longer
   * than the bound fails with code ETIMEOUT.
   */
  const lookup = (
    hostname: string,
    lookupOptions: Parameters<LookupFunction>[1] & { readonly port?: number },
    callback: Parameters<LookupFunction>[2],
  ): void => {
    judgedAddresses(hostname, lookupOptions.port ?? null, familyNumber(lookupOptions.family)).then(
      addresses => {
        const answers = addresses.map(address => ({ address, family: isIP(address) }))
        if (lookupOptions.all) callback(null, answers)
        else callback(null, answers[0]!.address, answers[0]!.family)
      },
      (error: NodeJS.ErrnoException) => callback(error, lookupOptions.all ? [] : ''),
    )
  }

  async function judgedAddresses(hostname: string, port: number | null, family = 0): Promise<string[]> {
    const answers = await withinBound(hostname, resolveOnce, resolveTimeoutMs)
    const rules = currentRules()
    for (const address of answers) {
      const verdict = judgeResolvedAddress(hostname, address, rules, port)
      if (!verdict.ok) throw new TargetBlocked(verdict.why)
    }
    const addresses = family === 0 ? answers : answers.filter(address => isIP(address) === family)
    if (addresses.length === 0) throw dnsError('ENOTFOUND', hostname, `${hostname} has no address`)
    return addresses
  }

  return { judge, judgeTarget, lookup }
}

/** Judges URLs by the rules with the machine's networks as they are now. */
function createUrlJudge(fixed: TargetRules, ownNetworks: () => TargetRules['own']) {
  /** Nothing but the text and the rules says what becomes of a URL, so each is judged once. */
  const judged = new Map<string, UrlVerdict>()
  let rules = fixed

  function currentRules(): TargetRules {
    const own = ownNetworks()
    if (own === rules.own) return rules
    judged.clear()
    rules = { ...fixed, ...(own && { own }) }
    return rules
  }

  /**
   * For every attempt, before connecting: judges the URL itself. It is needed beside `lookup`, which sockets do
   * not call for IP literals and which does not see the scheme.
   */
  function judgeTarget(urlText: string): UrlVerdict {
    const rules = currentRules()
    const known = judged.get(urlText)
    if (known) return known
    if (judged.size >= mostJudged) judged.clear()
    const verdict = judgeUrl(urlText, rules)
    judged.set(urlText, verdict)
    return verdict
  }

  return { currentRules, judgeTarget }
}

/**
 * One resolution of a name at a time: whoever asks meanwhile gets its answer. Node has few threads for
 * getaddrinfo, and a name whose server says nothing, asked for by a hundred requests, would hold all of them.
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

/** Of the resolver's own shape, so that whoever sorts failures of a connection needs to know only one. */
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
