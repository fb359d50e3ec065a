import { execFile } from 'node:child_process'
import { copyFile, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'

const project = join(import.meta.dirname, '..', '..')

/**
 * Puts the package, as it would be published, into a folder, and returns its path: the one that WALHOOK_TEST_PACKAGE names, else one
 * that is built now, which takes a quarter of a minute of CPU.
 */
export async function pack(folder: string): Promise<string> {
  const made = process.env.WALHOOK_TEST_PACKAGE
  if (made) await copyFile(made, join(folder, 'walhook.tgz'))
  else await promisify(execFile)('npm', ['pack', '--silent', '--pack-destination', folder], { cwd: project })
  return join(folder, (await readdir(folder)).find(name => name.endsWith('.tgz'))!)
}
