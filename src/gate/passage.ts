import type { Claim } from '../domain/access/credential.ts'

/** What a request needs before it reaches its handler. */
export type Passage = {
  /**
   * Where it waits for a place: `usual`, for a few short queries; `large`, whose answer may hold whole bodies; `slow`, which
   * waits for a receiver or a name server; `provider`, which waits for the OpenID provider, whoever asks; `stranger`, a log-in and whatever else may ask the database before it is known
   * who asks; `ops`, whether walhook lives and how it is; `file`, which is the same for all and some 100 kB; `free`, which asks no
   * database.
   */
  readonly kind: 'usual' | 'large' | 'slow' | 'stranger' | 'provider' | 'ops' | 'file' | 'free'
  /** Who it counts for: the holder of a token, else the address. */
  readonly key: string
  /** Its body may hold so many bytes; 0: it is answered without being read. */
  readonly maxBodyBytes: number
  /** What answers it: the API or what ops ask, else a page. */
  readonly isForPrograms: boolean
}

export type RequestHead = {
  readonly method: string
  readonly path: string
  readonly authorization: string | undefined
  readonly cookie: string | undefined
  readonly address: string
}

/** What the gate knows of a request: a handler finds it in its environment as `visit`. */
export type Visit = {
  /** Of whoever sent it, also where a trusted proxy passed it on. */
  readonly address: string
  /** Whether it came over https to walhook or to the proxy in front. */
  readonly isHttps: boolean
  /** Says that the answer goes on for as long as the reader stays. False: too many do. */
  readonly stream: () => boolean
}

const forOps = /^\/(livez|readyz|metrics)$/
const forPrograms = /^\/(api|livez|readyz|metrics)(\/|$)/
const alwaysShared = /^\/(livez|metrics)$/
const files = /^\/(assets\/.*|api\/openapi\.json|api\/docs)$/
const openForms = /^\/(login|language)$/
/** Whoever comes by a link is known only when it is looked up. */
const entrance = /^\/enter$/
/** Asks the OpenID provider, and a database only for what this browser has begun. */
const atProvider = /^\/login\/oidc(\/callback)?$/
const large = /^\/(api\/webhooks\/\d+\/log|api\/events\/|couplings\/\d+\/log\/\d|events\/\d+$)/
const slow = /^\/(api\/webhooks\/\d+\/test|couplings\/(\d+\/)?(test|try|judge-url)|logout|logout-everywhere)$/
/** Its name is resolved before a URL is kept. */
const keepsUrl = /^\/(api\/webhooks(\/\d+)?|couplings\/(new|\d+))$/
const isSlow = (method: string, path: string) =>
  slow.test(path) || (method !== 'GET' && method !== 'HEAD' && keepsUrl.test(path))

/** Strangers send forms too: a token fits, and nothing large. */
const openFormBytes = 8 * 1024
const jsonBytes = 64 * 1024
/** Twenty custom headers of 4 KB, percent-encoded. */
const formBytes = 256 * 1024

/** What ops ask, wherever they ask it from. */
export const isForOps = (path: string) => forOps.test(path)
/** What the API answers; every other path is a page for people. */
export const isForPrograms = (path: string) => forPrograms.test(path)

/**
 * Decides what a request needs. Who brings neither a token nor a session that may be one of ours (`judgeToken`,
 * `judgeSession`: without a query) gets what needs no database: a refusal, or the way to the log-in.
 */
export function passageOf(
  { method, path, authorization, cookie, address }: RequestHead,
  judges: Readonly<Record<'judgeToken' | 'judgeSession', (text: string) => Claim>>,
): Passage {
  const forPrograms = isForPrograms(path)
  const open = { kind: 'free', key: address, maxBodyBytes: 0, isForPrograms: forPrograms } as const
  if (alwaysShared.test(path)) return { ...open, kind: 'ops' }
  if (files.test(path)) return { ...open, kind: 'file' }
  if (openForms.test(path) && method === 'POST')
    return { ...open, kind: 'stranger', maxBodyBytes: openFormBytes }

  if (entrance.test(path)) return { ...open, kind: 'stranger' }
  if (atProvider.test(path)) return { ...open, kind: 'provider' }

  const text = forPrograms ? tokenIn(authorization) : sessionIn(cookie)
  const { judgeToken, judgeSession } = judges
  const found =
    text === null ? ({ is: 'invented' } as const) : (forPrograms ? judgeToken : judgeSession)(text)
  if (found.is === 'invented') return isForOps(path) ? { ...open, kind: 'ops' } : open
  const maxBodyBytes = forPrograms ? jsonBytes : formBytes
  if (found.is === 'perhaps') return { ...open, kind: 'stranger', maxBodyBytes }
  return {
    kind: large.test(path) ? 'large' : isSlow(method, path) ? 'slow' : 'usual',
    key: found.key,
    maxBodyBytes,
    isForPrograms: forPrograms,
  }
}

/**
 * The path of a URL as the routers of API and pages read it, `%6C` as `l`: what a request needs must not depend on how its path
 * is written.
 */
export function routedPath({ pathname }: Pick<URL, 'pathname'>): string {
  return pathname.replaceAll(/(%[0-9a-f]{2})+/gi, codes => {
    try {
      return decodeURI(codes.replaceAll('%25', '%2525'))
    } catch {
      return codes
    }
  })
}

/** The token of an `Authorization` header; null where it has none. */
export function tokenIn(authorization: string | undefined): string | null {
  return /^Bearer +(\S+)$/i.exec(authorization ?? '')?.[1] ?? null
}

function sessionIn(cookie: string | undefined): string | null {
  return /(?:^|;)\s*(?:__Host-)?walhook_session=([^;\s]+)/.exec(cookie ?? '')?.[1] ?? null
}
