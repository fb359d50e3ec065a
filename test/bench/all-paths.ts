import type { z } from 'zod'
import { createAdmin } from '../../src/admin/admin.ts'
import { pages } from '../../src/admin/pages.ts'
import { createApi } from '../../src/api/api.ts'
import { createMetrics } from '../../src/api/metrics/metrics.ts'
import { routes } from '../../src/api/routes.ts'
import { createRates, defaultRate } from '../../src/control/access/rates.ts'
import type { Sessions } from '../../src/control/access/sessions.ts'
import type { SignIn } from '../../src/control/access/sign-in.ts'
import type { Control } from '../../src/control/kit/control.ts'
import { silentLog } from '../../src/runtime/log.ts'

/** A request by its method and path: with `{…}` for what is another in each installation. */
export type Asked = { readonly method: string; readonly path: string }

/** `/couplings/:id` as the API writes it: `/couplings/{id}`. */
const written = (path: string) => path.replaceAll(/:(\w+)/g, '{$1}')

/** Every path that needs a token, by who may ask: from the tables that the server serves. */
export const apiPaths: readonly (Asked & { role: string; hasLimit: boolean })[] = routes.map(
  ({ method, path, role, query }) => ({
    method: method.toUpperCase(),
    path,
    role,
    hasLimit: 'limit' in ((query as z.ZodObject | undefined)?.shape ?? {}),
  }),
)
export const pagePaths: readonly (Asked & { role: string })[] = pages.map(({ method, path, role }) => ({
  method: method.toUpperCase(),
  path: written(path),
  role,
}))

/**
 * Every other path that is served: those that are open to all, and the few that are handled outside the tables. Asks the
 * servers themselves, so that none is forgotten that somebody adds.
 */
export function otherPaths(): Asked[] {
  const control = {} as Control
  const rates = createRates(defaultRate, Date.now)
  const api = createApi({
    control,
    authenticate: Object.assign(async () => ({ ok: false, isHeld: false, waitMs: 0 }) as const, {
      classify: () => ({ is: 'invented' }) as const,
    }),
    rates,
    health: async () => ({}),
    metrics: createMetrics(async () => ({
      health: { database: { ok: true } },
      queue: null,
      webhooks: null,
      heldBackBytes: null,
      captureState: null,
      openGaps: null,
      mappingLost: null,
      tables: [],
    })),
    log: silentLog,
  })
  const admin = createAdmin({
    control,
    sessions: {} as Sessions,
    snippets: [],
    addressOf: () => '',
    signIn: {} as SignIn,
    originOf: () => '',
    nowMs: Date.now,
    rates,
    frames: [],
    stopped: new AbortController().signal,
    log: silentLog,
  })
  const inTables = new Set([...apiPaths, ...pagePaths].map(named))
  const found = new Map<string, Asked>()
  for (const { method, path } of [...api.routes, ...admin.routes]) {
    // What stands before many paths, and what answers other methods.
    if (path.includes('*') || method === 'ALL') continue
    const asked = { method, path: written(path) }
    if (!inTables.has(named(asked))) found.set(named(asked), asked)
  }
  return [...found.values()]
}

export const named = ({ method, path }: Asked) => `${method} ${path}`

/** A path with values in the place of its parameters. One without a value is a mistake of whoever added it. */
export function filled(path: string, values: Readonly<Record<string, string | number>>): string {
  return path.replaceAll(/\{(\w+)\}/g, (_, name: string) => {
    if (values[name] === undefined) throw new Error(`${path}: the load run has no value for {${name}}`)
    return String(values[name])
  })
}
