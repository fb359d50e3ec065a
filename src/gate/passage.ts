import type { Claim } from '../domain/access/credential.ts'
import { type Shown, sessionIn } from '../domain/access/session-cookie.ts'

/** The resources of a request before its handler. */
export type Passage = {
  /**
   * The queue for a permit.
   *
   * - `short`: a few short queries; `large`: the response may contain whole bodies
   * - `slow`: waits for a receiver or a name server; `provider`: waits for the OpenID provider
   * - `stranger`: a log-in, and anything that queries the database before the caller is known
   * - `ops`: liveness and readiness; `file`: the same 100 kB for all; `free`: no database
   */
  readonly kind: 'short' | 'large' | 'slow' | 'stranger' | 'provider' | 'ops' | 'file' | 'free'
  /** The key to count it under: the holder of a token, else the address. */
  readonly key: string
  /** The maximum body in bytes; 0: the body is not read. */
  readonly maxBodyBytes: number
  /** The handler: the API or ops, else a page. */
  readonly isForPrograms: boolean
}

export type RequestHead = {
  readonly method: string
  readonly path: string
  readonly authorization: string | undefined
  readonly cookie: string | undefined
  readonly shown: Shown
  readonly isHttps: boolean
  readonly address: string
}

/** The gate's knowledge of a request, in the handler's environment as `visit`. */
export type Visit = {
  /** The client's, also through a trusted proxy. */
  readonly address: string
  /** Whether it came over https to walhook or to the trusted proxy. */
  readonly isHttps: boolean
  /** Announces a response that streams until the reader leaves. False: too many do. */
  readonly stream: () => boolean
}

const forOps = /^\/(livez|readyz|metrics)$/
const forPrograms = /^\/(api|livez|readyz|metrics)(\/|$)/
const alwaysShared = /^\/(livez|metrics)$/
const files = /^\/(assets\/.*|api\/openapi\.json|api\/docs)$/
const openForms = /^\/(login|language|recipients\/\d+)$/
/** Looking up a link needs a query. */
const links = /^\/(enter|recipients\/\d+)$/
/** Queries the OpenID provider; the database only for a sign-in that this browser has begun. */
const atProvider = /^\/login\/oidc(\/callback)?$/
const large = /^\/(api\/webhooks\/\d+\/log|api\/events\/|couplings\/\d+\/log\/\d|events\/\d+$)/
const slow = /^\/(api\/webhooks\/\d+\/test|couplings\/(\d+\/)?(test|try|check-url)|logout|logout-everywhere)$/
/** Its name is resolved before the URL is saved. */
const keepsUrl = /^\/(api\/webhooks(\/\d+)?|api\/apply|couplings\/(new|\d+))$/
const isSlow = (method: string, path: string) =>
  slow.test(path) || (method !== 'GET' && method !== 'HEAD' && keepsUrl.test(path))

/** Strangers send forms too: a token fits, and nothing large. */
const openFormBytes = 8 * 1024
const jsonBytes = 64 * 1024
/** A file of a thousand webhooks. */
const fileBytes = 1024 * 1024
/** Twenty custom headers of 4 KB, percent-encoded. */
const formBytes = 256 * 1024

/** The limit of a call's body. */
export const maxJsonBytes = (path: string) => (path === '/api/apply' ? fileBytes : jsonBytes)
/** The paths of ops, on every host. */
export const isForOps = (path: string) => forOps.test(path)
/** The API's paths; every other path is a page. */
export const isForPrograms = (path: string) => forPrograms.test(path)

/**
 * Decides the resources of a request. Without a plausible token or session (`classifyToken`, `classifySession`: no query), it gets
 * an answer without a database: a refusal, or the log-in.
 */
export function passageOf(
  { method, path, authorization, address, ...head }: RequestHead,
  classifiers: Readonly<Record<'classifyToken' | 'classifySession', (text: string) => Claim>>,
): Passage {
  const forPrograms = isForPrograms(path)
  const open = { kind: 'free', key: address, maxBodyBytes: 0, isForPrograms: forPrograms } as const
  if (alwaysShared.test(path)) return { ...open, kind: 'ops' }
  if (files.test(path)) return { ...open, kind: 'file' }
  if (openForms.test(path) && method === 'POST')
    return { ...open, kind: 'stranger', maxBodyBytes: openFormBytes }

  if (links.test(path)) return { ...open, kind: 'stranger' }
  if (atProvider.test(path)) return { ...open, kind: 'provider' }

  const text = forPrograms ? tokenIn(authorization) : (sessionIn(head.cookie, head)?.session ?? null)
  const { classifyToken, classifySession } = classifiers
  const found =
    text === null ? ({ is: 'invented' } as const) : (forPrograms ? classifyToken : classifySession)(text)
  if (found.is === 'invented') return isForOps(path) ? { ...open, kind: 'ops' } : open
  const maxBodyBytes = forPrograms ? maxJsonBytes(path) : formBytes
  if (found.is === 'perhaps') return { ...open, kind: 'stranger', maxBodyBytes }
  return {
    kind: large.test(path) ? 'large' : isSlow(method, path) ? 'slow' : 'short',
    key: found.key,
    maxBodyBytes,
    isForPrograms: forPrograms,
  }
}

/** The path as the routers read it, `%6C` as `l`: resources must not depend on its spelling. */
export function routedPath({ pathname }: Pick<URL, 'pathname'>): string {
  return pathname.replaceAll(/(%[0-9a-f]{2})+/gi, codes => {
    try {
      return decodeURI(codes.replaceAll('%25', '%2525'))
    } catch {
      return codes
    }
  })
}

/** The token of an `Authorization` header, or null. */
export function tokenIn(authorization: string | undefined): string | null {
  return /^Bearer +(\S+)$/i.exec(authorization ?? '')?.[1] ?? null
}
