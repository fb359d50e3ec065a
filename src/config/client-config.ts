import type { Problem } from '../domain/value/problem.ts'
import type { Variable } from './variable.ts'
import { unknownVariables } from './variable-warnings.ts'
import { type VariableName, variables } from './variables.ts'

/** A variable that a file refers to; undefined: not set. */
export function readReference(
  name: string,
  env: Readonly<Record<string, string | undefined>> = process.env,
): string | undefined {
  return env[name]
}

/** The URL of a running walhook, and the token to call it. */
export type ClientConfig = { readonly url: string; readonly token: string }

/**
 * The configuration of commands that call a running walhook. The default URL is the address of `serve` with the same
 * variables.
 */
export function readClientConfig(
  env: Readonly<Record<string, string | undefined>> = process.env,
): { readonly warnings: readonly Problem[] } & (
  | { readonly ok: true; readonly config: ClientConfig }
  | { readonly ok: false; readonly problems: readonly Problem[] }
) {
  const problems: Problem[] = []
  const read = <T>(name: VariableName, { default: fallback, mend, parse }: Variable<T>): T | null => {
    const text = env[name]?.trim() || fallback
    if (text === null) return null
    const parsed = parse(text, env)
    if ('value' in parsed) return parsed.value
    for (const found of parsed.wrong) problems.push({ code: 'variable', what: name, found, mend })
    return null
  }
  const [first] = read('WALHOOK_URL', variables.WALHOOK_URL) ?? []
  const host = read('HOST', variables.HOST)!
  const port = read('PORT', variables.PORT)
  const token =
    read('WALHOOK_TOKEN', variables.WALHOOK_TOKEN) ??
    read('WALHOOK_ADMIN_TOKEN', variables.WALHOOK_ADMIN_TOKEN)
  if (token === null && problems.length === 0)
    problems.push({
      code: 'variable',
      what: 'WALHOOK_TOKEN',
      found: 'not set',
      mend: 'create one with: walhook token NAME --role operator',
    })
  const warnings = unknownVariables(env)
  if (token === null || problems.length > 0) return { ok: false, problems, warnings }
  const local =
    host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '[::1]' : host.includes(':') ? `[${host}]` : host
  const url = first ? `${first.protocol}://${first.host}` : `http://${local}:${port}`
  return { ok: true, warnings, config: { url, token } }
}
