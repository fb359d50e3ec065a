import { randomBytes } from 'node:crypto'
import { type Config, readConfig } from '../config/config.ts'
import { createToken, listTokens, revokeToken, type Token } from '../control/access/tokens.ts'
import { type Control, commandLine } from '../control/kit/control.ts'
import { roles } from '../domain/access/role.ts'
import { longestTenant } from '../domain/event/tenant.ts'
import { nameIn } from '../domain/input/name.ts'
import { parseExpiry } from '../domain/value/expiry.ts'
import type { Problem } from '../domain/value/problem.ts'
import { openOutbox } from '../outbox/database/database.ts'
import {
  type Command,
  parseOnce,
  printLine,
  report,
  required,
  UsageError,
  wholeNumber,
} from './kit/command.ts'
import { migrateOutbox } from './kit/migrate-outbox.ts'

export const token: Command = {
  usage: `  walhook token NAME [--role viewer|operator|admin] [--user ID] [--tenant TENANT] [--expires WHEN]
                                      create an API token: a viewer's by default, valid for 90 days by default
                                      (--expires 12h, 2026-12-31 or never). Tests by its holder send the data of the
                                      user account --user; with --tenant, it sees that tenant only
  walhook token --list | --revoke ID  list the tokens, or revoke one`,
  async run(args) {
    const { values, positionals } = parseOnce({
      args,
      allowPositionals: true,
      options: {
        user: { type: 'string' },
        tenant: { type: 'string' },
        // Low defaults: a token may do more, and live longer, only on request.
        role: { type: 'string', default: 'viewer' },
        expires: { type: 'string', default: '90d' },
        list: { type: 'boolean', default: false },
        revoke: { type: 'string' },
      },
    })
    if (values.list || values.revoke !== undefined) {
      if (positionals.length > 0 || (values.list && values.revoke !== undefined))
        throw new UsageError('token takes one of NAME, --list, --revoke ID')
      return values.list ? await list() : await revoke(values.revoke!)
    }
    const name = nameIn(positionals[0] ?? '')
    if (positionals.length !== 1 || name === '' || name.length > 200)
      throw new UsageError('token takes one NAME of 1 to 200 characters')
    // An unset variable gives an empty account.
    if (values.user?.trim() === '') throw new UsageError('--user is empty')
    // An empty tenant would be a token that sees all tenants.
    if (values.tenant?.trim() === '') throw new UsageError('--tenant is empty')
    if ((values.tenant?.length ?? 0) > longestTenant)
      throw new UsageError(`--tenant has more than ${longestTenant} characters`)
    const role = roles.find(one => one === values.role)
    if (!role) throw new UsageError(`--role ${JSON.stringify(values.role)} is not one of ${roles.join(', ')}`)
    const expiresAt = values.expires === 'never' ? null : parseExpiry(values.expires, Date.now())
    if (values.expires !== 'never' && !expiresAt)
      throw new UsageError(
        `--expires ${JSON.stringify(values.expires)} is not a future time: write 90d, 12h, 2026-12-31, 2026-12-31T12:00Z or never`,
      )
    const config = required(readConfig(['OUTBOX_DATABASE_URL']))
    if (!config) return 1
    const made = await makeToken(config, {
      name,
      role,
      userId: values.user ?? null,
      tenant: values.tenant,
      expiresAt,
    })
    if (!made.ok) return report([made.problem])
    printLine(made.value)
    return 0
  },
}

async function list(): Promise<number> {
  const config = required(readConfig(['OUTBOX_DATABASE_URL']))
  if (!config) return 1
  const listed = await describeTokens(config)
  if (!listed.ok) return report([listed.problem])
  for (const line of listed.value) printLine(line)
  return 0
}

async function revoke(text: string): Promise<number> {
  const id = wholeNumber(text)
  if (!(id > 0 && id < 2 ** 31))
    throw new UsageError(`--revoke ${JSON.stringify(text)} is not a token id: --list shows them`)
  const config = required(readConfig(['OUTBOX_DATABASE_URL']))
  if (!config) return 1
  const ended = await withOutbox(config, control => revokeToken(control, commandLine, id))
  if (!ended.ok) return report([ended.problem])
  if (!ended.value.ok) {
    process.stderr.write(`walhook: no such token: ${id}; --list shows them\n`)
    return 1
  }
  printLine(`revoked ${id} ${ended.value.value.name}`)
  return 0
}

/** Runs work with the outbox after migrating its schema. */
export async function withOutbox<T>(
  config: Config,
  work: (control: Pick<Control, 'outbox' | 'randomBytes'>) => Promise<T>,
): Promise<{ ok: true; value: T } | { ok: false; problem: Problem }> {
  const migrated = await migrateOutbox(config)
  if (!migrated.ok) return migrated
  await using outbox = openOutbox({ url: config.outboxUrl!, maxConnections: 1, onError: () => {} })
  return { ok: true, value: await work({ outbox, randomBytes }) }
}

/** Creates a stored API token; returns its text. */
async function makeToken(config: Config, input: Parameters<typeof createToken>[2]) {
  return await withOutbox(config, async control => {
    const made = await createToken(control, commandLine, input)
    if (!made.ok) throw new Error(JSON.stringify(made))
    return made.value.text
  })
}

/** The stored API tokens, one line each, without their texts. */
async function describeTokens(config: Config) {
  return await withOutbox(config, async control => {
    const lines = [tokenLine('ID', 'ROLE', 'USER', 'LAST USED', 'STATE', 'NAME')]
    for (let after: number | null = 0; after !== null; ) {
      const page = await listTokens(control, commandLine, { limit: 100, after })
      lines.push(...page.items.map(token => describeToken(token)))
      after = page.next
    }
    return lines
  })
}

function describeToken({ id, name, role, tenant, userId, lastUsedAt, expiresAt, revokedAt }: Token): string {
  const minute = (at: Date) => `${at.toISOString().slice(0, 16)}Z`
  const isExpired = expiresAt !== null && expiresAt.getTime() <= Date.now()
  const until = expiresAt ? `${isExpired ? 'expired' : 'until'} ${minute(expiresAt)}` : 'valid'
  const state = revokedAt ? `revoked ${minute(revokedAt)}` : until
  return tokenLine(
    String(id),
    role,
    userId ?? '-',
    lastUsedAt ? minute(lastUsedAt) : 'never',
    state,
    tenant === null ? name : `${name} (tenant ${tenant})`,
  )
}

function tokenLine(...[id, role, user, used, state, name]: string[]): string {
  return `${id!.padStart(5)}  ${role!.padEnd(8)}  ${user!.padEnd(8)}  ${used!.padEnd(17)}  ${state!.padEnd(25)}  ${name}`
}
