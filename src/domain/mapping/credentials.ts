import { baseOf, type PgType } from '../value/json-text.ts'
import * as words from './credential-words.ts'

/** The kind of a column's values: a moment, flag or amount can't be a credential. */
export type ColumnKind = 'text' | 'json' | 'bytes' | 'whole number' | 'number' | 'moment' | 'flag'

const kinds = new Map<number, ColumnKind>([
  [16, 'flag'],
  [17, 'bytes'],
  [20, 'whole number'],
  [21, 'whole number'],
  [23, 'whole number'],
  [26, 'whole number'],
  [700, 'number'],
  [701, 'number'],
  [790, 'number'], // money
  [1700, 'number'],
  [114, 'json'],
  [3802, 'json'],
  [1082, 'moment'],
  [1083, 'moment'],
  [1114, 'moment'],
  [1184, 'moment'],
  [1186, 'moment'], // interval
  [1266, 'moment'],
])

/** The kind of a type, or of the type under domains and arrays. Unknown types count as text. */
export function columnKind(typeOid: number, typeOf: (oid: number) => PgType | undefined): ColumnKind {
  const base = baseOf(typeOid, typeOf)
  const elementOid = typeOf(base)?.elementOid ?? 0
  return kinds.get(base) ?? (elementOid === 0 ? 'text' : columnKind(elementOid, typeOf))
}

/** Why a column is considered a credential. */
export type Suspicion = 'its name looks like a credential' | 'it holds bytes'

/** Checks a column that the mapping does not name, by its name and type; null: it is sent. */
export function suspect(column: { readonly name: string; readonly kind: ColumnKind }): Suspicion | null {
  if (column.kind === 'bytes') return 'it holds bytes'
  return looksLikeCredential(column.name, column.kind) ? 'its name looks like a credential' : null
}

/** Letters without accents, for comparison. */
const plain = (text: string) => text.normalize('NFKD').replaceAll(/\p{M}/gu, '')
const anywhere = words.anywhere.map(plain)

/** Only numbers with these names can be credentials. */
const ofDigits = /^(pin|otp|totp|cvv2?|cvc|passcode|pincode|tan)$/

/** Whether a name looks like a credential, in any of the known languages and spellings. */
export function looksLikeCredential(name: string, kind: ColumnKind = 'text'): boolean {
  if (kind === 'moment' || kind === 'flag' || kind === 'number') return false
  const parts = partsOf(name)
  const joined = parts.join('')
  if (kind === 'whole number') {
    const last = parts.at(-1) ?? ''
    if (words.codeWords.has(last)) return parts.some(part => words.codeOf.has(part))
    return ofDigits.test(last)
  }
  if (words.exactly.has(joined)) return true
  const isAbout = parts.length > 1 && words.about.has(parts.at(-1)!) && !joined.endsWith('onetime')
  if (isAbout || /^(is|has|needs|must|requires?)$/.test(parts.length > 1 ? parts[0]! : '')) return false
  return isCredential(parts, joined)
}

function isCredential(parts: readonly string[], joined: string): boolean {
  if (anywhere.some(word => joined.includes(word))) return true
  if (isPostalCode(parts, joined)) return false
  if (parts.some(part => words.parts.has(part))) return true
  if (parts.some(part => words.partEnd.test(part))) return true
  if (parts.some(part => words.partStarts.some(start => part.startsWith(start)))) return true
  const beside = (word: string, others: ReadonlySet<string>) =>
    parts.includes(word) && parts.some(part => part !== word && others.has(part))
  if (hasKey(parts)) return true
  if (parts.some(part => words.codeWords.has(part)) && parts.some(part => words.codeOf.has(part))) return true
  if (beside('pass', words.passOf) || beside('pin', words.pinOf) || beside('digest', words.digestOf))
    return true
  if (parts.some(part => /^(hash|hashed|hashes)$/.test(part)))
    return !parts.some(part => words.hashedThings.has(part))
  if (parts.some(part => part === 'salt' || part === 'salts'))
    return !parts.some(part => words.saltedFood.has(part))
  if (parts.some(part => words.secondFactor.has(part)) && parts.some(part => words.secondFactorOf.has(part)))
    return true
  if (parts.includes('session') || parts.includes('sessions'))
    return /session(id|key|hash|data|state|cookie)s?$/.test(joined)
  return beside('auth', new Set(['data', 'hash', 'string', 'cookie', 'info']))
}

/** `api_key`, but not `key_account`; Romance languages say `clave_api`. */
function hasKey(parts: readonly string[]): boolean {
  if (parts.some(part => part === 'public' || part === 'foreign' || part === 'primary')) return false
  const key = parts.findLastIndex(part => words.keyWords.has(part))
  const of = parts.findIndex(part => words.keyOf.has(part))
  return key >= 0 && of >= 0 && (of < key || /^(cle|clave|chave)$/.test(parts[key]!))
}

/** `pin_code` is a postal code in India, and a PIN beside other words of one. */
function isPostalCode(parts: readonly string[], joined: string): boolean {
  return /pincode$/.test(joined) && !parts.some(part => words.pinOf.has(part))
}

/** The words of a name, split as in `two_factorSecret`, `APIKey` or `api-key`. Digits after a word are dropped. */
export function partsOf(name: string): string[] {
  const spaced = plain(name)
    .replaceAll(/[łŁ]/g, 'l')
    .replaceAll(/[øØ]/g, 'o')
    .replaceAll('ß', 'ss')
    .replaceAll('ı', 'i')
    .replaceAll(/(\p{Ll}|\d)(\p{Lu})/gu, '$1_$2')
    .replaceAll(/(\p{Lu})(\p{Lu}\p{Ll})/gu, '$1_$2')
    .toLowerCase()
  const parts = spaced.split(/[^\p{L}\p{N}]+/u).filter(part => part !== '')
  return joinLetters(parts)
    .map(part => (/^[a-z]{3,}\d+$/.test(part) && !words.parts.has(part) ? part.replace(/\d+$/, '') : part))
    .filter((part, i, all) => all.length === 1 || i === 0 || !/^\d+$/.test(part))
}

/** `enable_a_p_i_key`, as some frameworks write `enableAPIKey`. */
function joinLetters(parts: readonly string[]): string[] {
  const joined: string[] = []
  let wasLetter = false
  for (const part of parts) {
    const isLetter = /^[a-z]$/.test(part)
    if (isLetter && wasLetter) joined[joined.length - 1] += part
    else joined.push(part)
    wasLetter = isLetter
  }
  return joined
}
