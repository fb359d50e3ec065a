import { readFileSync } from 'node:fs'
import type { SignInConfig } from '../domain/access/sign-in.ts'
import { type Values, variables } from './variables.ts'

const longestSecret = 4_096

/** The OpenID provider; null: not configured, or `add` got the problems. */
export function readSignIn(
  values: Values,
  isSet: (name: keyof Values) => boolean,
  add: (what: string, found: string, mend: string) => void,
): SignInConfig | null {
  const { WALHOOK_OIDC_ISSUER: issuer, WALHOOK_OIDC_CLIENT_ID: clientId } = values
  if (!issuer) {
    const others = (Object.keys(variables) as (keyof Values)[]).filter(
      name => name.startsWith('WALHOOK_OIDC_') && isSet(name),
    )
    if (others.length > 0 && !isSet('WALHOOK_OIDC_ISSUER'))
      add('WALHOOK_OIDC_ISSUER', `not set, but ${others[0]} is`, variables.WALHOOK_OIDC_ISSUER.mend)
    return null
  }
  if (!clientId)
    add(
      'WALHOOK_OIDC_CLIENT_ID',
      'not set, but WALHOOK_OIDC_ISSUER is',
      variables.WALHOOK_OIDC_CLIENT_ID.mend,
    )
  if (values.WALHOOK_URL.length === 0)
    add('WALHOOK_URL', 'not set, but WALHOOK_OIDC_ISSUER is', variables.WALHOOK_URL.mend)
  const secret = readSecret(values, add)
  const { WALHOOK_OIDC_ROLES: roles, WALHOOK_OIDC_ALL_TENANTS: allTenants } = values
  for (const value of allTenants)
    if (!roles.has(value))
      add(
        'WALHOOK_OIDC_ALL_TENANTS',
        `${JSON.stringify(value)} gives no role`,
        variables.WALHOOK_OIDC_ALL_TENANTS.mend,
      )
  if (!clientId || !secret) return null
  return {
    ...{ issuer, clientId, clientSecret: secret.value },
    scopes: values.WALHOOK_OIDC_SCOPES,
    providerName: values.WALHOOK_OIDC_NAME ?? new URL(issuer).host,
    sessionMs: values.WALHOOK_OIDC_SESSION,
    mapping: {
      ...{ roles, allTenants },
      roleClaim: values.WALHOOK_OIDC_ROLE_CLAIM,
      tenantClaim: values.WALHOOK_OIDC_TENANT_CLAIM,
      nameClaim: values.WALHOOK_OIDC_NAME_CLAIM,
      userClaim: values.WALHOOK_OIDC_USER_CLAIM,
    },
  }
}

/** The client's secret, from its variable or file; null: unreadable. */
function readSecret(
  { WALHOOK_OIDC_CLIENT_SECRET: secret, WALHOOK_OIDC_CLIENT_SECRET_FILE: file }: Values,
  add: (what: string, found: string, mend: string) => void,
): { readonly value: string | null } | null {
  if (file === null) return { value: secret }
  const no = (found: string) => {
    add('WALHOOK_OIDC_CLIENT_SECRET_FILE', found, variables.WALHOOK_OIDC_CLIENT_SECRET_FILE.mend)
    return null
  }
  if (secret !== null) return no('set, and so is WALHOOK_OIDC_CLIENT_SECRET')
  let text: string
  try {
    text = readFileSync(file, 'utf8').trim()
  } catch (error) {
    return no(`${file} cannot be read (${(error as NodeJS.ErrnoException).code ?? 'unknown'})`)
  }
  if (text === '') return no(`${file} is empty`)
  return text.length > longestSecret || /\s/.test(text)
    ? no(`${file} holds more than a secret`)
    : { value: text }
}
