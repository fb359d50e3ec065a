import { execFileSync } from 'node:child_process'
import { join } from 'node:path'

const root = join(import.meta.dirname, '..', '..')

/** The program as the package and the image have it: compiled, from the sources of now. TypeScript itself would take 25 MB more. */
export const program = join(root, 'dist', 'src', 'main.js')

execFileSync('npm', ['run', '--silent', 'build'], { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] })
