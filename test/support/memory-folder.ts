import { mkdir, readdir, rm, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { isAlive } from '../../playground/process-alive.ts'

/** Linux keeps in memory what is written here. */
const parent = '/dev/shm'
const prefix = 'walhook-tests-'
/** What a run needs at most, with room to spare. */
const neededBytes = 8 * 2 ** 30

/**
 * A folder in memory for the temporary files of this run; null where there is none, or too little memory for it. What runs
 * that have ended left there is removed. Each database is some hundreds of files, and ext4 looks long for the inode of a new
 * file where many have just been deleted.
 */
export async function memoryFolder(): Promise<string | null> {
  const space = await statfs(parent).catch(() => null)
  if (process.platform !== 'linux' || space === null) return null
  for (const name of await readdir(parent)) {
    const pid = name.startsWith(prefix) ? Number(name.slice(prefix.length)) : 0
    if (pid > 0 && (pid === process.pid || !isAlive(pid)))
      await rm(join(parent, name), { recursive: true, force: true })
  }
  if (Math.min(space.bavail * space.bsize, process.availableMemory()) < neededBytes) return null
  const folder = join(parent, `${prefix}${process.pid}`)
  // The account that runs Postgres enters it.
  await mkdir(folder, { mode: 0o755 })
  return folder
}
