import { maxInARow } from '../../domain/value/streak.ts'
import { describeError } from '../../runtime/log.ts'
import { undefinedColumn } from './column-type.ts'

/** A missing table, schema or column. */
const notThere = new Set(['42P01', '3F000', undefinedColumn])
/** Includes NUL, which Postgres texts can't contain. */
export const notOfTheKeysType = new Set(['22P02', '22003', '22007', '22008', '22021'])

/** Errors of the data itself, such as a damaged or oversized value: they are permanent. */
const broken = /^(22|54|XX|58|0A|P0|38|39)/
/** A value longer than a JavaScript string can be. */
const tooLong = 'ERR_STRING_TOO_LONG'

/** Whether an error is about the data to read, and recurs on every reading. */
export function isOfData(error: unknown): boolean {
  const { code = '' } = error as { code?: string }
  return code === tooLong || (code.length === 5 && broken.test(code)) || error instanceof RangeError
}

/** Consecutive unreadable keys, and the reason. */
type Broken = { count: number; because: string }

/**
 * Reads for keys; those not of the key's type have no rows. `onBroken` gets each unreadable key; after fifty in a row the
 * others are not tried. Null: the table or a needed column is gone.
 */
export async function readExisting<T>(
  keys: readonly string[],
  read: (keys: readonly string[]) => Promise<Map<string, T>>,
  onBroken: (key: string, because: string) => void,
  inARow: Broken = { count: 0, because: '' },
): Promise<Map<string, T> | null> {
  if (inARow.count >= maxInARow) {
    for (const key of keys) onBroken(key, inARow.because)
    return new Map()
  }
  try {
    const found = await read(keys)
    if (found.size > 0) inARow.count = 0
    return found
  } catch (error) {
    const { code = '' } = error as { code?: string }
    if (notThere.has(code)) return null
    const isOfType = !notOfTheKeysType.has(code)
    if (isOfType && !isOfData(error)) throw error
    if (keys.length <= 1) {
      if (!isOfType) return new Map()
      inARow.count++
      inARow.because = describeError(error)
      for (const key of keys) onBroken(key, inARow.because)
      return new Map()
    }
    const middle = Math.ceil(keys.length / 2)
    const first = await readExisting(keys.slice(0, middle), read, onBroken, inARow)
    const second = await readExisting(keys.slice(middle), read, onBroken, inARow)
    return first && second && new Map([...first, ...second])
  }
}
