/** Nobody means a name with more letters, and comparing them would take long. */
const maxLetters = 200

/**
 * The name that `wanted` probably means: at most a third of its letters are wrong, missing or extra, ignoring case. Null:
 * none.
 */
export function nearest(wanted: string, names: readonly string[]): string | null {
  if (wanted.length > maxLetters) return null
  let best: string | null = null
  let bestDistance = Math.max(1, Math.floor(wanted.length / 3)) + 1
  for (const name of names) {
    const distance = editDistance(wanted.toLowerCase(), name.toLowerCase())
    if (distance < bestDistance) {
      best = name
      bestDistance = distance
    }
  }
  return best
}

/** The letters to change, add, remove, or swap with a neighbour. https://en.wikipedia.org/wiki/Damerau–Levenshtein_distance */
function editDistance(a: string, b: string): number {
  let before: number[] = []
  let row = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const changed = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)
      const isSwapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]
      const swapped = isSwapped ? before[j - 2]! + 1 : changed
      next[j] = Math.min(row[j]! + 1, next[j - 1]! + 1, changed, swapped)
    }
    before = row
    row = next
  }
  return row[b.length]!
}
