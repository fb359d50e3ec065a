import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { generatedDocuments } from './reference.ts'

/** `npm run docs`: writes the documents that come from the code. */
for (const [path, text] of await generatedDocuments()) {
  const file = join(import.meta.dirname, '..', '..', path)
  await mkdir(dirname(file), { recursive: true })
  await writeFile(file, text)
}
