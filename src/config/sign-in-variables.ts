import { parseRoleValues } from '../domain/access/claims.ts'
import type { Role } from '../domain/access/role.ts'
import { parseIssuer } from '../domain/access/sign-in.ts'
import { hourMs, minuteMs, parseDuration } from '../domain/value/duration.ts'
import { type Given, optional } from './variable.ts'

const guide = '[sign-in](../guide/sign-in.md)'

const claim = (means: string, without: string) =>
  optional<string>({
    means,
    without,
    mend: 'write the name of a claim, or its path: realm_access.roles',
    parse: text => (/\s/.test(text) ? { wrong: [JSON.stringify(text)] } : { value: text }),
  })

/** The variables of the OpenID provider. */
export const signInVariables = {
  WALHOOK_OIDC_ISSUER: optional<string>({
    means: `The issuer of the OpenID provider where people sign in to the pages, beside tokens: \`https://login.example.com/realms/company\`. See ${guide}.`,
    without: 'people log in with tokens only',
    mend: 'write the URL of the issuer as its .well-known/openid-configuration has it: https, or http on this machine',
    parse(text) {
      const issuer = parseIssuer(text)
      // The problem never repeats the URL: it may contain a password.
      return issuer === null ? { wrong: ['not the https URL of an issuer'] } : { value: issuer }
    },
  }),
  WALHOOK_OIDC_CLIENT_ID: optional<string>({
    means: 'The client id of walhook at the provider.',
    without: 'needed where `WALHOOK_OIDC_ISSUER` is set',
    mend: 'write the client id of walhook at the provider',
    parse: text => ({ value: text }),
  }),
  WALHOOK_OIDC_CLIENT_SECRET: optional<string>({
    means: 'The client secret.',
    without: 'walhook is a public client, protected by PKCE alone',
    mend: 'write the client secret of walhook at the provider, here or into a file, but not both',
    parse: text => ({ value: text }),
  }),
  WALHOOK_OIDC_CLIENT_SECRET_FILE: optional<string>({
    means: 'A file with the client secret, read at start.',
    without: '`WALHOOK_OIDC_CLIENT_SECRET`',
    mend: 'name a readable file that holds the secret alone',
    parse: text => ({ value: text }),
  }),
  WALHOOK_OIDC_SCOPES: {
    means: 'The scopes that walhook requests, separated by spaces.',
    default: 'openid profile email',
    mend: 'write scopes with openid among them, separated by spaces: openid profile email',
    parse(text) {
      const scopes = text.split(/[\s,]+/).filter(one => one !== '')
      return scopes.includes('openid') ? { value: scopes.join(' ') } : { wrong: ['without openid'] }
    },
  } satisfies Given<string>,
  WALHOOK_OIDC_NAME: optional<string>({
    means: 'The provider’s name on the log-in page: “Log in with Example”.',
    without: "the host of the issuer's URL",
    mend: 'write at most 60 characters',
    parse: text => (text.length > 60 ? { wrong: [`${text.length} characters`] } : { value: text }),
  }),
  WALHOOK_OIDC_ROLE_CLAIM: {
    ...claim('', ''),
    means:
      'The claim with the roles of a user, a string or a list: its name, or its path with dots (`realm_access.roles`).',
    default: 'roles',
  } as Given<string>,
  WALHOOK_OIDC_ROLES: {
    means:
      'The role for each value of that claim, as `value=role`, separated by commas: `it-staff=admin, support=viewer`. A user with several gets the highest; walhook refuses a user with none.',
    default: 'viewer=viewer,operator=operator,admin=admin',
    mend: 'write value=role pairs, separated by commas; roles are viewer, operator and admin',
    parse(text) {
      const parsed = parseRoleValues(text)
      return parsed.ok ? { value: parsed.roles } : { wrong: parsed.problems }
    },
  } satisfies Given<ReadonlyMap<string, Role>>,
  WALHOOK_OIDC_TENANT_CLAIM: claim(
    'The claim with the [tenant](../guide/tenants.md) of a user, who sees and changes that tenant’s things only. walhook refuses a user without one.',
    'users belong to no tenant and see everything',
  ),
  WALHOOK_OIDC_ALL_TENANTS: {
    means:
      'Values of the role claim, separated by commas. A user who has one of them and no tenant sees all tenants.',
    default: '',
    mend: 'write values that WALHOOK_OIDC_ROLES names, separated by commas',
    parse: text => ({
      value: new Set(
        text
          .split(',')
          .map(one => one.trim())
          .filter(one => one !== ''),
      ),
    }),
  } satisfies Given<ReadonlySet<string>>,
  WALHOOK_OIDC_NAME_CLAIM: claim(
    'The claim with the name that pages and the audit show.',
    'the first present of `email`, `preferred_username`, `upn`, `name` and `sub`',
  ),
  WALHOOK_OIDC_USER_CLAIM: claim(
    'The claim with the id of the user account whose data tests send.',
    'their tests must name an account',
  ),
  WALHOOK_OIDC_SESSION: {
    means: 'The longest duration of a session after a sign-in, from `5m` to `24h`.',
    default: '12h',
    mend: 'write one duration from 5m to 24h: 8h',
    parse(text) {
      const ms = parseDuration(text)
      const isFit = ms !== null && ms >= 5 * minuteMs && ms <= 24 * hourMs
      return isFit ? { value: ms } : { wrong: [JSON.stringify(text)] }
    },
  } satisfies Given<number>,
}
