import { type Document, isScalar, LineCounter, parseDocument, visit } from 'yaml'
import { impossibleName, membersOf, pathTo, unseenIn } from './members.ts'

/** The content of a YAML file, or every problem of its form, each with its line and column. */
type YamlResult =
  | { readonly ok: true; readonly content: unknown; readonly document: Document }
  | { readonly ok: false; readonly problems: readonly string[] }

/** No file that walhook reads has more than ten levels. */
const maxLevels = 100

/** Reads YAML that people write. Merges (`<<: *anchor`) are on. */
export function readYaml(text: string): YamlResult {
  const lines = new LineCounter()
  const withPosition = ({ at, message }: FormError) => {
    const { line, col } = lines.linePos(at)
    return `line ${line}, column ${col}: ${message}`
  }
  try {
    const document = parseDocument(text, {
      ...{ merge: true, lineCounter: lines, prettyErrors: false, logLevel: 'error' },
      // `1e3` and `"1000"` are one name.
      uniqueKeys: (a, b) => isScalar(a) && isScalar(b) && String(a.value) === String(b.value),
    })
    const wrong = document.errors.map(({ message, pos: [at] }) => ({ at, message }))
    if (wrong.some(({ message }) => isOfStack(message))) return { ok: false, problems: [tooDeep] }
    const wrongForm = wrong.length > 0 ? wrong : endlessAliases(document)
    if (wrongForm.length > 0) return { ok: false, problems: wrongForm.map(withPosition) }
    const content: unknown = document.toJS({ maxAliasCount: 100 })
    const problems = problemsOf(content)
    return problems.length > 0 ? { ok: false, problems } : { ok: true, content, document }
  } catch (error) {
    return { ok: false, problems: [whyUnread(error as Error)] }
  }
}

type FormError = { readonly at: number; readonly message: string }

/** The aliases inside of the node that they repeat: what they say has no end. */
function endlessAliases(document: Document): FormError[] {
  const anchors = new Map<string, unknown>()
  const found: FormError[] = []
  visit(document, {
    // In the order of the text: an anchor holds until another node has its name.
    Value(_key, node) {
      if (node.anchor !== undefined) anchors.set(node.anchor, node)
    },
    Alias(_key, { source, range }, path) {
      const within: readonly unknown[] = path
      if (within.includes(anchors.get(source)))
        found.push({
          at: range?.[0] ?? 0,
          message: `*${source} repeats &${source}, which it is a part of, and so never ends: write out what you mean`,
        })
    },
  })
  return found
}

/** What no schema would see, or could look through. */
function problemsOf(content: unknown): string[] {
  for (const member of membersOf(content))
    if (member.depth > maxLevels) return [`${pathTo(member).slice(0, 3).join('.')}: ${tooDeep}`]
  return unseenIn(content).map(member => `${pathTo(member).join('.')}: ${impossibleName}: change it`)
}

const tooDeep = `it has more than ${maxLevels} levels, one inside of another: take out what is not needed`

/** The parser calls itself for each level. */
const isOfStack = (message: string) => message.includes('call stack')

function whyUnread(error: Error): string {
  if (isOfStack(error.message)) return tooDeep
  if (error.message.includes('alias count'))
    return 'its aliases repeat one another too often: write some of them out'
  return error.message
}
