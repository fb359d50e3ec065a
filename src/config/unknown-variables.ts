import { nearest } from '../domain/value/nearest.ts'
import type { Problem } from '../domain/value/problem.ts'
import { variables } from './variables.ts'

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
