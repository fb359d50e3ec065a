/** One thing to do, as walhook has written it. */
export type Step =
  | { readonly kind: 'sql'; readonly sql: string }
  | { readonly kind: 'command'; readonly args: readonly string[] }

/**
 * What a reader would do who takes walhook at its word: in the order of the text, each `run: …;` as SQL and each
 * `walhook …` as a command. Of alternatives (`or: …`) the first one. A command that asks to be sure gets its `--yes`.
 */
export function readMend(words: string): Step[] {
  const steps: { at: number; step: Step }[] = []
  for (const match of words.matchAll(/\brun(?: as (?:a |the )?[^:;\n]{1,40}|, [^:;\n]{1,40})?: ([^\n]*)/gi)) {
    const text = match[1]!
    if (/^`?walhook /.test(text)) continue
    for (const sql of statementsOf(text)) steps.push({ at: match.index, step: { kind: 'sql', sql } })
  }
  for (const match of words.matchAll(
    /\bwalhook (resync|backfill|migrate)((?: --?[a-z-]+(?:[= ][A-Za-z0-9_]+)?)*)/g,
  )) {
    const [, command, flags] = match
    const args = [command!, ...flags!.trim().split(/\s+/).filter(Boolean)]
    const step: Step = {
      kind: 'command',
      args: command === 'resync' && !args.includes('--yes') ? [...args, '--yes'] : args,
    }
    steps.push({ at: match.index, step })
  }
  const ordered = steps.sort((a, b) => a.at - b.at).map(({ step }) => step)
  return ordered.filter((step, i) => ordered.findIndex(other => same(other, step)) === i)
}

const same = (a: Step, b: Step) => JSON.stringify(a) === JSON.stringify(b)

/** The statements at the beginning of a text: each ends with a semicolon; what follows the last is prose. */
function statementsOf(text: string): string[] {
  const [first] = text.split(/;\s+or: /)
  const statements: string[] = []
  let rest = first!
  for (;;) {
    const match =
      /^\s*((?:alter|create|drop|grant|revoke|select|update|delete|set|reset|comment)\b(?:[^;']|'[^']*')*)(?:;|$)/i.exec(
        rest,
      )
    if (!match) return statements
    statements.push(match[1]!.trim())
    rest = rest.slice(match[0].length)
  }
}

/** Whether it can be run as it is written: an ellipsis and a word in capitals are blanks for the reader to fill in. */
export const isRunnable = (step: Step) =>
  step.kind === 'command'
    ? !step.args.some(arg => /^[A-Z]+$/.test(arg))
    : !/…|\.\.\.|<[a-z ]+>/.test(step.sql)
