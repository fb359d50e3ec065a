import { expect, test } from 'vitest'
import {
  type ClaimMapping,
  claimAt,
  lacksClaims,
  mapClaims,
  parseRoleValues,
} from '../../src/domain/access/claims.ts'
import { parseIssuer, sessionEndOf } from '../../src/domain/access/sign-in.ts'

const mapping: ClaimMapping = {
  roleClaim: 'realm_access.roles',
  roles: new Map([
    ['support', 'viewer'],
    ['ops', 'operator'],
    ['staff', 'admin'],
  ]),
  tenantClaim: null,
  allTenants: new Set(),
  nameClaim: null,
  userClaim: null,
}
const roles = (...values: unknown[]) => ({ sub: 's', realm_access: { roles: values } })
const withTenants = { ...mapping, tenantClaim: 'org', allTenants: new Set(['staff']) }

test.each([
  [['support'], 'viewer'],
  [['support', 'staff', 'ops'], 'admin'],
  [['other', 'ops'], 'operator'],
  ['support', 'viewer'],
])('the claim values %j map to the role %s', (values, role) => {
  const claims = { sub: 's', realm_access: { roles: values } }
  expect(mapClaims(mapping, claims)).toMatchObject({ ok: true, user: { role, tenant: null } })
})

test.each([[[]], [['Support']], [['support ']], [[{ support: true }]], [[null]], [[true]]])(
  'the claim values %j map to no role',
  values => {
    expect(mapClaims(mapping, roles(...values))).toMatchObject({ ok: false, refusal: 'no_role' })
  },
)

test.each([
  ['acme', 'acme'],
  [['acme'], 'acme'],
  [7, '7'],
  // As it is, since the tenant of an entity is the text of its column.
  [' acme', ' acme'],
])('the claim %j maps to the tenant %j, also for a role that may see all tenants', (org, tenant) => {
  for (const value of ['support', 'staff'])
    expect(mapClaims(withTenants, { ...roles(value), org })).toMatchObject({ ok: true, user: { tenant } })
})

test.each([
  [undefined, 'no_tenant'],
  [null, 'no_tenant'],
  [[], 'no_tenant'],
  ['', 'unclear_tenant'],
  [['acme', 'bravo'], 'unclear_tenant'],
  [['acme', null], 'unclear_tenant'],
  [{ id: 'acme' }, 'unclear_tenant'],
  [false, 'unclear_tenant'],
  ['a\0', 'unclear_tenant'],
  ['\ud800', 'unclear_tenant'],
  ['a'.repeat(201), 'unclear_tenant'],
])('a user with the tenant claim %j is refused', (org, refusal) => {
  expect(mapClaims(withTenants, { ...roles('support'), org })).toMatchObject({ ok: false, refusal })
  const staff = mapClaims(withTenants, { ...roles('staff'), org })
  expect(staff).toMatchObject(refusal === 'no_tenant' ? { ok: true, user: { tenant: null } } : { ok: false })
})

test('a claim is found by its name, with or without dots, and by its path', () => {
  const claims = { 'https://example.com/roles': 1, a: { b: { c: 2 } }, 'a.b': 3, list: [4] }
  expect(claimAt(claims, 'https://example.com/roles')).toBe(1)
  expect(claimAt(claims, 'a.b.c')).toBe(2)
  expect(claimAt(claims, 'a.b')).toBe(3)
  for (const path of ['a.b.c.d', 'constructor', 'a.toString', '__proto__', ''])
    expect(claimAt(claims, path)).toBeUndefined()
})

test.each([
  [{ email: 'a@b', name: 'A' }, 'a@b'],
  [{ name: 'A' }, 'A'],
  [{ email: '', preferred_username: 'a' }, 'a'],
  [{ email: ['x'] }, 'x'],
  [{}, 's'],
  [{ email: 'a\nb\u202e' }, 'a b'],
  [{ email: 'x'.repeat(300) }, 'x'.repeat(200)],
])("the user's name is read from %j", (claims, name) => {
  const checked = mapClaims(mapping, { ...roles('ops'), ...claims })
  expect(checked).toMatchObject({ user: { name, subject: 's' } })
})

test("the user account's id comes from its own claim", () => {
  const with7 = mapClaims({ ...mapping, userClaim: 'account' }, { ...roles('ops'), account: 7 })
  expect(with7).toMatchObject({ user: { userId: '7' } })
  expect(mapClaims(mapping, roles('ops'))).toMatchObject({ user: { userId: null } })
})

test("the provider's userinfo is requested only if a required claim is missing", () => {
  const all = { ...roles('ops'), email: 'a@b' }
  expect(lacksClaims(mapping, all)).toBe(false)
  expect(lacksClaims(mapping, roles('ops'))).toBe(true)
  expect(lacksClaims(withTenants, all)).toBe(true)
  expect(lacksClaims({ ...mapping, nameClaim: 'nick' }, all)).toBe(true)
})

test('role mappings are parsed, with all problems', () => {
  const read = parseRoleValues('CN=ops,support=viewer, CN=staff=admin')
  expect(read).toEqual({ ok: false, problems: ['"ops" is no role'] })
  expect(parseRoleValues('a=viewer, CN=b=admin,')).toEqual({
    ok: true,
    roles: new Map([
      ['a', 'viewer'],
      ['CN=b', 'admin'],
    ]),
  })
  expect(parseRoleValues('a, =viewer, b=owner, c=admin, c=viewer')).toEqual({
    ok: false,
    problems: [
      '"a" is no value=role',
      '"=viewer" is no value=role',
      '"owner" is no role',
      '"c" has two roles',
    ],
  })
  expect(parseRoleValues(',')).toEqual({ ok: false, problems: ['no value'] })
})

test.each([
  ['https://login.example.com/realms/a', true],
  ['https://login.example.com', true],
  ['http://127.0.0.1:8080/realms/a', true],
  ['http://localhost:8080', true],
  ['http://login.example.com', false],
  ['http://127.0.0.1.example.com', false],
  ['https://user:secret@login.example.com', false],
  ['https://login.example.com?a=b', false],
  ['login.example.com', false],
])('the issuer %s is allowed: %s', (text, isIssuer) => {
  expect(parseIssuer(text)).toBe(isIssuer ? text : null)
})

test('a provider may set the end of a session', () => {
  expect(sessionEndOf({ session_expiry: 1_700_000_000 })).toBe(1_700_000_000_000)
  expect(sessionEndOf({ session_expiry: 'soon' })).toBeNull()
  expect(sessionEndOf({ exp: 1 })).toBeNull()
})
