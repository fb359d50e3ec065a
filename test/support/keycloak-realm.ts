/** A realm of Keycloak as the guide to sign-in makes it: a client with roles, a tenant as an attribute, and its people. */
export function realmFor({ name, origin, secret }: { name: string; origin: string; secret: string }) {
  const person = (username: string, roles: string[], tenant?: string) => ({
    username,
    enabled: true,
    email: `${username}@example.com`,
    emailVerified: true,
    ...{ firstName: username, lastName: 'Example' },
    credentials: [{ type: 'password', value: password }],
    clientRoles: { walhook: roles },
    ...(tenant !== undefined && { attributes: { organisation_id: [tenant] } }),
  })
  const mapper = (mapperName: string, protocolMapper: string, config: Record<string, string>) => ({
    name: mapperName,
    protocol: 'openid-connect',
    protocolMapper,
    config: { 'id.token.claim': 'true', 'jsonType.label': 'String', ...config },
  })
  return {
    realm: name,
    enabled: true,
    sslRequired: 'none',
    roles: { client: { walhook: ['viewer', 'operator', 'admin'].map(role => ({ name: role })) } },
    clients: [
      {
        clientId: 'walhook',
        secret,
        protocol: 'openid-connect',
        publicClient: false,
        standardFlowEnabled: true,
        directAccessGrantsEnabled: false,
        redirectUris: [`${origin}/login/oidc/callback`],
        attributes: {
          'pkce.code.challenge.method': 'S256',
          'post.logout.redirect.uris': `${origin}/login/oidc/out`,
        },
        protocolMappers: [
          mapper('roles', 'oidc-usermodel-client-role-mapper', {
            'claim.name': 'roles',
            multivalued: 'true',
            'usermodel.clientRoleMapping.clientId': 'walhook',
          }),
          mapper('tenant', 'oidc-usermodel-attribute-mapper', {
            'claim.name': 'organisation_id',
            'user.attribute': 'organisation_id',
          }),
        ],
      },
    ],
    components: {
      'org.keycloak.userprofile.UserProfileProvider': [
        {
          providerId: 'declarative-user-profile',
          config: {
            'kc.user.profile.config': [
              JSON.stringify({
                attributes: ['username', 'email', 'firstName', 'lastName', 'organisation_id'].map(one => ({
                  name: one,
                  permissions: { view: ['admin'], edit: ['admin'] },
                })),
              }),
            ],
          },
        },
      ],
    },
    users: [person('ann', ['admin', 'viewer']), person('cas', ['admin'], '1'), person('noa', [])],
  }
}

export const password = 'a password for tests'
