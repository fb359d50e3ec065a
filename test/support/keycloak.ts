import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { freePort } from '../../playground/local-port.ts'
import { until } from './wait.ts'

export const keycloakVersion = '26.7.3'
const cache = process.env.XDG_CACHE_HOME || join(homedir(), '.cache')
/** Made by `.ci/keycloak`. */
const home = join(cache, 'walhook-ci', `keycloak-${keycloakVersion}`)

/** Why there is no Keycloak here; null: there is one. */
export function keycloakMissing(): string | null {
  if (!process.env.WALHOOK_KEYCLOAK)
    return 'WALHOOK_KEYCLOAK is not set: a JVM that starts takes half a minute of a core from other tests, npm run test:keycloak runs it alone'
  if (!existsSync(join(home, '.built'))) return `there is no Keycloak at ${home}: .ci/keycloak puts it there`
  return spawnSync('java', ['-version']).error ? 'there is no Java' : null
}

/** A Keycloak of its own on this machine, with a realm. */
export async function startKeycloak(realm: { realm: string }) {
  const folder = await mkdtemp(join(cache, 'walhook-ci', 'keycloak-of-a-test-'))
  // 200 MB that nobody writes to: linked, and on the same disk for that.
  spawnSync('cp', ['-rl', `${home}/.`, folder])
  await mkdir(join(folder, 'data', 'import'), { recursive: true })
  await writeFile(join(folder, 'data', 'import', 'realm.json'), JSON.stringify(realm))
  const port = await freePort()
  const args = ['start', '--optimized', '--import-realm', '--http-enabled=true', '--http-host=127.0.0.1']
  const child: ChildProcess = spawn(
    join(folder, 'bin', 'kc.sh'),
    [...args, `--http-port=${port}`, `--hostname=http://127.0.0.1:${port}`, '--cache=local'],
    // Its script starts a JVM, and both end together.
    {
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, JAVA_OPTS_KC_HEAP: '-Xms64m -Xmx400m' },
    },
  )
  const lines: string[] = []
  for (const stream of [child.stdout!, child.stderr!]) stream.on('data', part => lines.push(String(part)))
  const ended = once(child, 'exit')
  const issuer = `http://127.0.0.1:${port}/realms/${realm.realm}`
  const hasEnded = () => child.exitCode !== null
  const isUp = async () =>
    hasEnded() || ((await fetch(`${issuer}/.well-known/openid-configuration`).catch(() => null))?.ok ?? false)
  const close = async () => {
    if (!hasEnded()) process.kill(-child.pid!, 'SIGKILL')
    await ended
    await rm(folder, { recursive: true, force: true })
  }
  try {
    await until(isUp, { what: 'Keycloak', timeoutMs: 150_000, intervalMs: 200 })
    if (hasEnded()) throw new Error(`Keycloak has ended: ${lines.join('')}`)
  } catch (error) {
    await close()
    throw error
  }
  return { issuer, log: () => lines.join(''), [Symbol.asyncDispose]: close }
}
