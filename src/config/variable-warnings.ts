import { type EntityMapping, tenantTypes } from '../domain/mapping/mapping.ts'
import { nearest } from '../domain/value/nearest.ts'
import type { Problem } from '../domain/value/problem.ts'
import { type Values, type VariableName, variables } from './variables.ts'

/**
 * Kubernetes sets these in every pod for a service whose name begins with walhook.
 * https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables
 */
const ofKubernetes = /_SERVICE_(HOST|PORT)(_|$)|_PORT($|_\d)/

/** Unknown variables that look like walhook's: a warning, because another version may know them. */
export function unknownVariables(env: Readonly<Record<string, string | undefined>>): Problem[] {
  const names = Object.keys(env).filter(
    name => name.startsWith('WALHOOK_') && !Object.hasOwn(variables, name) && !ofKubernetes.test(name),
  )
  return names.map(name => {
    const meant = nearest(name, Object.keys(variables))
    return {
      code: 'variable_unknown',
      what: name,
      found: 'unknown variable, without effect',
      mend: meant === null ? 'remove it' : `write ${meant}, or remove it`,
    }
  })
}

/**
 * Variables that are right, and have no effect, or not all of it, because another one is missing. `mapping` is null for commands that read
 * none.
 */
export function idleVariables(
  values: Values,
  mapping: readonly EntityMapping[] | null,
  isSet: (name: VariableName) => boolean,
): Problem[] {
  const found: Problem[] = []
  const idle = (what: VariableName, why: string, mend: string) =>
    found.push({ code: 'variable_idle', what, found: why, mend })
  const without = (names: readonly VariableName[], other: string) => {
    for (const what of names)
      if (isSet(what)) idle(what, `without effect: ${other} is not set`, `set ${other}, or remove it`)
  }
  const [url] = values.WALHOOK_URL
  const hasTenants = mapping !== null && tenantTypes(mapping).length > 0
  if (hasTenants && !url)
    idle(
      'WALHOOK_URL',
      'not set, but the mapping has tenants: their links (POST /api/sessions) name the address on which walhook listens, and walhook cannot ask their addresses whether they want alerts',
      variables.WALHOOK_URL.mend,
    )
  if (values.WALHOOK_FRAME_ANCESTORS.some(one => one.startsWith('https:')) && url?.protocol !== 'https')
    idle(
      'WALHOOK_FRAME_ANCESTORS',
      'without effect: browsers keep the cookie of a frame over https only, and the first WALHOOK_URL is not https',
      'set WALHOOK_URL to the public https URL of walhook',
    )
  if (!values.WALHOOK_SMTP_URL)
    without(['WALHOOK_MAIL_FROM', 'WALHOOK_MAIL_DOMAINS', 'WALHOOK_MAIL_LANGUAGE'], 'WALHOOK_SMTP_URL')
  if (!values.WALHOOK_ADMIN_TOKEN) without(['WALHOOK_ADMIN_USER'], 'WALHOOK_ADMIN_TOKEN')
  if (!values.WALHOOK_OIDC_TENANT_CLAIM) without(['WALHOOK_OIDC_ALL_TENANTS'], 'WALHOOK_OIDC_TENANT_CLAIM')
  if (mapping !== null && !hasTenants)
    for (const [what, effect] of [
      ['WALHOOK_MAIL_DOMAINS', 'it has no effect'],
      ['WALHOOK_OIDC_TENANT_CLAIM', 'users with a tenant see no events'],
    ] as const)
      if (isSet(what))
        idle(
          what,
          `no entity of the mapping has a tenant: ${effect}`,
          'give entities a tenant in the mapping (WALHOOK_CONFIG), or remove it',
        )
  return found
}
