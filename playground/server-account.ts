import { execFile } from 'node:child_process'
import type { Stats } from 'node:fs'
import { realpath, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname } from 'node:path'
import { promisify } from 'node:util'

/** The user and group of a child process. */
export type Account = { readonly uid: number; readonly gid: number }

/** Bits of a file mode, as `ls -l` shows them for one class of users. */
export const readable = 4
export const traversable = 1

/**
 * The account for Postgres; null: our own. Postgres refuses root, so root uses `nobody`, which every system has, or the owner
 * of an existing data folder.
 */
export async function serverAccount(ownerOfData: Account | null): Promise<Account | null> {
  if (process.getuid?.() !== 0) return null
  if (ownerOfData !== null && ownerOfData.uid !== 0) return ownerOfData
  const id = async (flag: string) => Number((await promisify(execFile)('id', [flag, 'nobody'])).stdout)
  try {
    return { uid: await id('-u'), gid: await id('-g') }
  } catch (error) {
    throw new Error(
      `Postgres refuses to run as root, and the account "nobody" to run it as was not found (${String(error)}). ` +
        'Run as an ordinary user, or add that account.',
    )
  }
}

/** Whether the permission bits grant an account all of `wanted` (ignoring access lists). */
export function may(account: Account, file: Pick<Stats, 'uid' | 'gid' | 'mode'>, wanted: number): boolean {
  const shift = file.uid === account.uid ? 6 : file.gid === account.gid ? 3 : 0
  return ((file.mode >> shift) & wanted) === wanted
}

/** Whether an account can enter this existing folder, through every folder above it. */
export async function canEnter(account: Account, folder: string): Promise<boolean> {
  let at = await realpath(folder)
  for (;;) {
    if (!may(account, await stat(at), traversable)) return false
    if (at === dirname(at)) return true
    at = dirname(at)
  }
}

/** A folder for temporary files that the account can enter. */
export async function sharedTemporaryFolder(account: Account): Promise<string> {
  const candidates = [tmpdir(), '/tmp', '/var/tmp']
  for (const folder of candidates) {
    if (await canEnter(account, folder).catch(() => false)) return realpath(folder)
  }
  throw new Error(
    `Postgres must run as the user with id ${account.uid}, who can enter none of ${candidates.join(', ')}. ` +
      'Set TMPDIR to a folder that every user can enter, or run as an ordinary user.',
  )
}
