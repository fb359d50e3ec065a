/**
 * All entities are divided into this many shares, each with one holder at a time. Stored rows depend on the number and the
 * hash: neither may ever change.
 */
export const shareCount = 12

const start = 0x811c9dc5
const prime = 0x01000193
const utf8 = new TextEncoder()

/**
 * The share of an entity, from 0: FNV-1a over its type, a zero byte and its id in UTF-8, with a final mix. Equal to
 * `walhook.share_of` in the database. http://www.isthe.com/chongo/tech/comp/fnv/
 */
export function shareOf(entityType: string, entityId: string): number {
  let hash = hashText(Math.imul(hashText(start, entityType), prime), entityId)
  hash ^= hash >>> 16
  hash = Math.imul(hash, 0x45d9f3b)
  hash ^= hash >>> 16
  return (hash >>> 0) % shareCount
}

function hashText(hash: number, text: string): number {
  let next = hash
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i)
    if (unit > 127) return hashBytes(hash, utf8.encode(text))
    next = Math.imul(next ^ unit, prime)
  }
  return next
}

function hashBytes(hash: number, bytes: Uint8Array): number {
  let next = hash
  for (const byte of bytes) next = Math.imul(next ^ byte, prime)
  return next
}
