/** A member of nested JSON, with the one that holds it. */
export type Member = {
  readonly name: string
  readonly value: unknown
  readonly holder: Member | null
  /** How many lists and objects it is in. */
  readonly depth: number
}

/** Every member of nested JSON. Without recursion: what came from outside may be nested as deep as it is long. */
export function* membersOf(content: unknown): Generator<Member> {
  const waiting: Member[] = [{ name: '', value: content, holder: null, depth: 0 }]
  for (let within = waiting.pop(); within !== undefined; within = waiting.pop()) {
    if (typeof within.value !== 'object' || within.value === null) continue
    const holder = within.depth === 0 ? null : within
    for (const [name, value] of Object.entries(within.value)) {
      const member = { name, value, holder, depth: within.depth + 1 }
      yield member
      waiting.push(member)
    }
  }
}

/** The names that lead to a member, outermost first. */
export function pathTo(member: Member): string[] {
  const path: string[] = []
  for (let at: Member | null = member; at !== null; at = at.holder) path.push(at.name)
  return path.reverse()
}

/** The members that no schema sees: zod drops them, because an assignment to this name does something else. */
export function unseenIn(content: unknown): Member[] {
  return [...membersOf(content)].filter(({ name }) => name === '__proto__')
}

export const impossibleName = 'nothing can have this name'
