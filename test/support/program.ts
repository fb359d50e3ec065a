import { rename } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

const root = join(import.meta.dirname, '..', '..')
const source = join(root, 'src', 'main.ts')

/** Code that was compiled once is not compiled again by each process. https://nodejs.org/api/module.html#module-compile-cache */
export const compileCache = join(root, 'data', 'compile-cache')

/**
 * What tests start as walhook: what `bundleProgram` has made of the source for this run; the source itself where there is none,
 * or where the test looks at which modules are loaded (NODE_DEBUG).
 */
export const programPath = (env: Readonly<Record<string, string>> = {}) =>
  (!env.NODE_DEBUG && process.env.WALHOOK_TEST_PROGRAM) || source

/**
 * Makes one file of walhook and its packages, and returns its path: a process that loads it starts with a third of the CPU
 * time that a thousand modules take. What its modules read beside themselves, they read beside their sources.
 */
export async function bundleProgram(): Promise<string> {
  const { rolldown } = await import('rolldown')
  const bundle = await rolldown({
    input: source,
    platform: 'node',
    transform: { target: 'esnext' },
    external: ['pg-native'],
    logLevel: 'warn',
    plugins: [
      {
        name: 'beside-the-source',
        transform: (code, id) =>
          code.includes('import.meta.url')
            ? code.replaceAll('import.meta.url', JSON.stringify(pathToFileURL(id).href))
            : null,
      },
    ],
  })
  const path = join(root, 'data', 'program.js')
  const half = `${path}.${process.pid}`
  await bundle.write({ file: half, format: 'esm', codeSplitting: false })
  await bundle.close()
  // Another run may start processes from it meanwhile.
  await rename(half, path)
  return path
}
