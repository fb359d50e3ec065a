import { readFileSync } from 'node:fs'
import { readYaml } from '../domain/input/yaml.ts'
import type { EntityMapping } from '../domain/mapping/mapping.ts'
import { readMappingFile } from '../domain/mapping/mapping-file.ts'
import type { Problem } from '../domain/value/problem.ts'

/** The default mapping file. */
export const defaultFile = 'walhook.yaml'

/** What to do about a file that is there, by the code of the system. */
const mends: Readonly<Record<string, string>> = {
  EACCES: `let the user of walhook (${process.getuid?.() ?? 'its account'}) read the file and enter its folders: chmod 0644 for the file, 0755 for a folder`,
  EISDIR: 'name the file, not a folder. Docker makes a folder of a mounted file that does not exist',
}

/** Reads a mapping file; adds its errors to `problems`. */
export function readMapping(file: string, problems: Problem[]): readonly EntityMapping[] {
  const wrong = (found: string, mend = 'correct the file') =>
    problems.push({ code: 'mapping_file', what: `mapping file ${file}`, found, mend })
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    const mend = code === undefined ? undefined : mends[code]
    if (code !== 'ENOENT') wrong(message, mend)
    else
      problems.push({
        code: 'variable',
        what: 'WALHOOK_CONFIG',
        found: `${file} does not exist`,
        mend: 'name an existing mapping file',
      })
    return []
  }
  const yaml = readYaml(text)
  if (!yaml.ok) {
    for (const found of yaml.problems) wrong(found)
    return []
  }
  const result = readMappingFile(yaml.content)
  if (result.ok) return result.mapping
  for (const { at, message } of result.problems) wrong(`${at}: ${message}`)
  return []
}
