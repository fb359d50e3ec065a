import { longestTenant } from '../../domain/event/tenant.ts'
import { because } from '../../domain/shown/reason.ts'
import type { Caller } from '../kit/control.ts'
import { type FieldProblem, wrongField } from '../kit/result.ts'

/** The tenant of a new object: the caller's own; without one, the requested tenant (undefined or null: none). */
export function chooseTenant(
  caller: Pick<Caller, 'tenant'>,
  wanted: string | null | undefined,
): { readonly tenant: string | null; readonly problems: readonly FieldProblem[] } {
  const no = (reason: Parameters<typeof wrongField>[1]) => ({
    tenant: caller.tenant,
    problems: [wrongField('/tenant', reason)],
  })
  if (caller.tenant !== null) {
    const isOwn = wanted === undefined || wanted === caller.tenant
    return isOwn ? { tenant: caller.tenant, problems: [] } : no(because('tenant.foreign'))
  }
  const tenant = wanted ?? null
  if (tenant === null) return { tenant, problems: [] }
  const isFit =
    tenant !== '' && tenant.length <= longestTenant && !tenant.includes('\0') && tenant.isWellFormed()
  return isFit ? { tenant, problems: [] } : no(because('tenant.form', { max: longestTenant }))
}
