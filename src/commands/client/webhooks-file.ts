import { isMap, isScalar } from 'yaml'
import { readYaml } from '../../domain/input/yaml.ts'

/** The webhooks of a file, for the API; or every problem of the file itself, in lines. */
type WebhooksFile =
  | {
      readonly ok: true
      readonly webhooks: Readonly<Record<string, unknown>>
      /** The values of referenced variables, which are never shown. */
      readonly secrets: ReadonlyMap<string, string>
    }
  | { readonly ok: false; readonly problems: readonly string[] }

/**
 * Reads a file of webhooks: YAML with `webhooks:`, by name. `${NAME}` in a text is the value of an environment variable,
 * `$${` a dollar and a brace. Reports every problem at once.
 */
export function readWebhooksFile(
  text: string,
  findValue: (name: string) => string | undefined,
): WebhooksFile {
  const read = readYaml(text)
  if (!read.ok) return read
  const { content, document } = read
  if (!isMapping(content)) return { ok: false, problems: ['it must begin with webhooks:'] }
  const problems = [
    ...Object.keys(content)
      .filter(key => key !== 'webhooks')
      .map(key => `${key}: unknown key: the file has only webhooks:`),
    ...otherNames(document.get('webhooks', true)),
  ]
  const { webhooks = null } = content
  if (!('webhooks' in content)) problems.push('webhooks: is missing')
  if (webhooks !== null && !isMapping(webhooks))
    problems.push('webhooks: must be a mapping from the name of each webhook to its settings')
  const secrets = new Map<string, string>()
  const resolved = isMapping(webhooks) ? resolve(webhooks, 'webhooks', { findValue, secrets, problems }) : {}
  return problems.length > 0
    ? { ok: false, problems }
    : { ok: true, webhooks: resolved as Record<string, unknown>, secrets }
}

/** Names that YAML reads as another text. */
function otherNames(webhooks: unknown): string[] {
  const keys = isMap(webhooks) ? webhooks.items.map(({ key }) => key) : []
  return keys.flatMap(key => {
    if (!isScalar(key) || typeof key.value === 'string' || String(key.value) === key.source) return []
    return [`webhooks: YAML reads the name ${key.source} as ${key.value}: write it in quotes`]
  })
}

const isMapping = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

type Resolving = {
  readonly findValue: (name: string) => string | undefined
  readonly secrets: Map<string, string>
  readonly problems: string[]
}

function resolve(value: unknown, at: string, into: Resolving): unknown {
  if (typeof value === 'string') return resolveText(value, at, into)
  if (Array.isArray(value)) return value.map((item, i) => resolve(item, `${at}.${i}`, into))
  if (!isMapping(value)) return value
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [key, resolve(item, `${at}.${key}`, into)]),
  )
}

const reference = /\$\$\{|\$\{([^}]*)(\}?)/g

function resolveText(text: string, at: string, { findValue, secrets, problems }: Resolving): string {
  return text.replaceAll(reference, (found, name: string | undefined, end: string | undefined) => {
    if (name === undefined) return '${'
    if (end !== '}' || !/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) {
      problems.push(`${at}: ${found} is not a reference: write \${NAME}, or $\${ for a dollar and a brace`)
      return ''
    }
    const value = findValue(name)
    if (value === undefined || value === '')
      problems.push(`${at}: the environment variable ${name} is not set: set it, or remove \${${name}}`)
    else secrets.set(name, value)
    return value ?? ''
  })
}

/** A text for a file, with references escaped. */
export const asWritten = (text: string): string => text.replaceAll('${', '$${')

/** A shorter value would be found everywhere. */
const leastSecret = 4

/** A text for people, with variable names instead of their values. */
export function withoutValues(text: string, secrets: ReadonlyMap<string, string>): string {
  let safe = text
  for (const [name, value] of [...secrets].sort(([, a], [, b]) => b.length - a.length))
    if (value.length >= leastSecret) safe = safe.replaceAll(value, `\${${name}}`)
  return safe
}
