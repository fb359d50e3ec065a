import { longestTenant } from '../event/tenant.ts'
import { mayAct, type Role, roles } from './role.ts'

/** Which claims of a provider say what somebody may do here. */
export type ClaimMapping = {
  /** The name of a claim, or the way into one: `realm_access.roles`. */
  readonly roleClaim: string
  /** Values of that claim, and the role that each gives. */
  readonly roles: ReadonlyMap<string, Role>
  /** Null: whoever signs in belongs to no tenant. */
  readonly tenantClaim: string | null
  /** Values of the role claim whose holders need no tenant, and without one know of all. */
  readonly allTenants: ReadonlySet<string>
  /** The audit and the pages show it. Null: the first that is there of the usual ones. */
  readonly nameClaim: string | null
  /** The id of the user account in the source database. */
  readonly userClaim: string | null
}

export type Claims = Readonly<Record<string, unknown>>

/** Who has signed in. */
export type SignedInUser = {
  readonly subject: string
  readonly name: string
  readonly role: Role
  readonly tenant: string | null
  readonly userId: string | null
}

export const claimRefusals = ['no_role', 'no_tenant', 'unclear_tenant'] as const
export type ClaimRefusal = (typeof claimRefusals)[number]

export type JudgedClaims =
  | { readonly ok: true; readonly user: SignedInUser }
  | { readonly ok: false; readonly refusal: ClaimRefusal; readonly subject: string; readonly name: string }

const usualNames = ['email', 'preferred_username', 'upn', 'name']
const longestName = 200
const longestUserId = 200

/**
 * What the claims of somebody let them do: the highest role that any of their values gives, in their tenant alone. Whoever has no
 * role, or should have a tenant and has none, or has several, is not let in.
 */
export function judgeClaims(mapping: ClaimMapping, claims: Claims & { readonly sub: string }): JudgedClaims {
  const { sub: subject } = claims
  const name = nameOf(mapping, claims)
  const no = (refusal: ClaimRefusal) => ({ ok: false, refusal, subject, name }) as const

  const values = textsOf(claimAt(claims, mapping.roleClaim))
  const role = highest(values.flatMap(value => mapping.roles.get(value) ?? []))
  if (role === null) return no('no_role')
  const tenant = tenantOfClaims(mapping, claims, values)
  if (typeof tenant === 'object' && tenant !== null) return no(tenant.refusal)
  const userId = mapping.userClaim === null ? undefined : textsOf(claimAt(claims, mapping.userClaim))[0]
  const isFit = userId !== undefined && userId.length <= longestUserId && !userId.includes('\0')
  return { ok: true, user: { subject, name, role, tenant, userId: isFit ? userId : null } }
}

/** Whether a claim that counts is not there: the provider may tell it at its userinfo endpoint. */
export function lacksClaims(mapping: ClaimMapping, claims: Claims): boolean {
  const { roleClaim, tenantClaim, nameClaim, userClaim } = mapping
  const wanted = [roleClaim, tenantClaim, nameClaim, userClaim].filter(one => one !== null)
  if (wanted.some(one => claimAt(claims, one) === undefined)) return true
  return nameClaim === null && !usualNames.some(one => textsOf(claims[one]).length > 0)
}

/** The claim with this very name, which may be a URL with dots; else what the parts between dots lead to. */
export function claimAt(claims: Claims, path: string): unknown {
  if (Object.hasOwn(claims, path)) return claims[path]
  let at: unknown = claims
  for (const part of path.split('.')) {
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, part)) return undefined
    at = (at as Claims)[part]
  }
  return at
}

function tenantOfClaims(
  { tenantClaim, allTenants }: ClaimMapping,
  claims: Claims,
  roleValues: readonly string[],
): string | null | { refusal: ClaimRefusal } {
  if (tenantClaim === null) return null
  const claim = claimAt(claims, tenantClaim)
  const isAbsent = claim === undefined || claim === null || (Array.isArray(claim) && claim.length === 0)
  if (isAbsent) return roleValues.some(value => allTenants.has(value)) ? null : { refusal: 'no_tenant' }
  const found = new Set(textsOf(claim))
  const [tenant] = found
  const isClear = found.size === 1 && (!Array.isArray(claim) || claim.length === textsOf(claim).length)
  const isFit =
    tenant !== undefined && tenant.length <= longestTenant && !tenant.includes('\0') && tenant.isWellFormed()
  return isClear && isFit ? tenant : { refusal: 'unclear_tenant' }
}

function nameOf({ nameClaim }: ClaimMapping, claims: Claims & { readonly sub: string }): string {
  const names = nameClaim === null ? usualNames : [nameClaim]
  const found = names.map(one => textsOf(claimAt(claims, one))[0]).find(one => one !== undefined)
  // Control characters and marks that turn the direction of what follows.
  const plain = (found ?? claims.sub).replaceAll(/[\p{Cc}\p{Bidi_Control}]/gu, ' ')
  return plain.toWellFormed().trim().slice(0, longestName) || claims.sub
}

/** The texts of a claim that is one or a list; numbers as they are written. */
function textsOf(claim: unknown): string[] {
  const all = Array.isArray(claim) ? claim : [claim]
  return all.flatMap(one => {
    if (typeof one === 'number' && Number.isSafeInteger(one)) return [String(one)]
    return typeof one === 'string' && one !== '' ? [one] : []
  })
}

function highest(found: readonly Role[]): Role | null {
  return found.reduce<Role | null>((best, one) => (best === null || mayAct(one, best) ? one : best), null)
}

/** Reads which values of a claim give which role, `walhook-admins=admin, walhook-users=viewer`; or what is wrong. */
export function parseRoleValues(
  text: string,
): { ok: true; roles: ReadonlyMap<string, Role> } | { ok: false; problems: readonly string[] } {
  const problems: string[] = []
  const found = new Map<string, Role>()
  for (const part of text.split(',').map(one => one.trim())) {
    if (part === '') continue
    // A distinguished name of LDAP has equals signs, too.
    const at = part.lastIndexOf('=')
    const [value, role] = [part.slice(0, at).trim(), part.slice(at + 1).trim()]
    if (at < 0 || value === '') problems.push(`${JSON.stringify(part)} is no value=role`)
    else if (!roles.includes(role as Role)) problems.push(`${JSON.stringify(role)} is no role`)
    else if (found.has(value) && found.get(value) !== role)
      problems.push(`${JSON.stringify(value)} has two roles`)
    else found.set(value, role as Role)
  }
  if (found.size === 0 && problems.length === 0) problems.push('no value')
  return problems.length > 0 ? { ok: false, problems } : { ok: true, roles: found }
}
