import { readFileSync } from 'node:fs'
import { readYaml } from '../domain/input/yaml.ts'
import type { EntityMapping } from '../domain/mapping/mapping.ts'
import { readMappingFile } from '../domain/mapping/mapping-file.ts'
import type { Problem } from '../domain/value/problem.ts'

/** The default mapping file. */
export const defaultFile = 'walhook.yaml'

/** Reads a mapping file; adds its errors to `problems`. */
export function readMapping(file: string, problems: Problem[]): readonly EntityMapping[] {
  const wrong = (found: string) =>
    problems.push({ code: 'mapping_file', what: `mapping file ${file}`, found, mend: 'correct the file' })
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    if (code !== 'ENOENT') wrong(message)
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
