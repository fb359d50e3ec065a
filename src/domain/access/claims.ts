import { longestTenant } from '../event/tenant.ts'
import { nameIn } from '../input/name.ts'
import { mayAct, type Role, roles } from './role.ts'

/** Which claims of a provider decide role and tenant. */
export type ClaimMapping = {
  /** The name of a claim, or the path to one: `realm_access.roles`. */
  readonly roleClaim: string
  /** Values of that claim, each with its role. */
  readonly roles: ReadonlyMap<string, Role>
  /** Null: users have no tenant. */
  readonly tenantClaim: string | null
  /** Values of the role claim that need no tenant; without a tenant they see all. */
  readonly allTenants: ReadonlySet<string>
  /** Shown in the audit and on the pages. Null: the first of the usual name claims. */
  readonly nameClaim: string | null
  /** The id of the user account in the source database. */
  readonly userClaim: string | null
}

export type Claims = Readonly<Record<string, unknown>>

export type SignedInUser = {
  readonly subject: string
  readonly name: string
  readonly role: Role
  readonly tenant: string | null
  readonly userId: string | null
}

export const claimRefusals = ['no_role', 'no_tenant', 'unclear_tenant'] as const
export type ClaimRefusal = (typeof claimRefusals)[number]

type MappedClaims =
  | { readonly ok: true; readonly user: SignedInUser }
  | { readonly ok: false; readonly refusal: ClaimRefusal; readonly subject: string; readonly name: string }

const defaultNames = ['email', 'preferred_username', 'upn', 'name']
const longestName = 200
const longestUserId = 200

/**
 * The rights that claims give: the highest role of any value, for one tenant. A user without a role is refused, and so is one
 * whose tenant is required but missing, or ambiguous.
 */
export function mapClaims(mapping: ClaimMapping, claims: Claims & { readonly sub: string }): MappedClaims {
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

/** Whether a required claim is missing: the userinfo endpoint may have it. */
export function lacksClaims(mapping: ClaimMapping, claims: Claims): boolean {
  const { roleClaim, tenantClaim, nameClaim, userClaim } = mapping
  const wanted = [roleClaim, tenantClaim, nameClaim, userClaim].filter(one => one !== null)
  if (wanted.some(one => claimAt(claims, one) === undefined)) return true
  return nameClaim === null && !defaultNames.some(one => textsOf(claims[one]).length > 0)
}

/** The claim with exactly this name, which may be a URL with dots; otherwise the dots are a path. */
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
  const names = nameClaim === null ? defaultNames : [nameClaim]
  const found = names.map(one => textsOf(claimAt(claims, one))[0]).find(one => one !== undefined)
  // Control characters and marks that change the writing direction.
  const plain = (found ?? claims.sub).replaceAll(/[\p{Cc}\p{Bidi_Control}]/gu, ' ')
  return nameIn(plain.toWellFormed()).slice(0, longestName) || claims.sub
}

/** The texts of a claim, which is one value or a list; numbers as text. */
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

/** Reads `walhook-admins=admin, walhook-users=viewer`: which claim value gives which role. Returns the problem otherwise. */
export function parseRoleValues(
  text: string,
): { ok: true; roles: ReadonlyMap<string, Role> } | { ok: false; problems: readonly string[] } {
  const problems: string[] = []
  const found = new Map<string, Role>()
  for (const part of text.split(',').map(one => one.trim())) {
    if (part === '') continue
    // A distinguished name of LDAP contains equals signs too.
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
