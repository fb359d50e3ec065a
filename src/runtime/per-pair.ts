/** Makes what belongs to two things once for each pair of them; it is forgotten with the first. */
export function perPair<A extends object, B, Made>(make: (a: A, b: B) => Made): (a: A, b: B) => Made {
  const known = new WeakMap<A, Map<B, Made>>()
  return (a, b) => {
    const ofA = known.get(a) ?? new Map<B, Made>()
    if (ofA.size === 0) known.set(a, ofA)
    else if (ofA.has(b)) return ofA.get(b)!
    const made = make(a, b)
    ofA.set(b, made)
    return made
  }
}
