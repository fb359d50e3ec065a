/** The abilities of an output stream. https://no-color.org */
export function readTerminal(
  stream: { readonly isTTY?: boolean; readonly columns?: number },
  env: Readonly<Record<string, string | undefined>> = process.env,
): { readonly columns: number | null; readonly hasColours: boolean } {
  if (!stream.isTTY) return { columns: null, hasColours: false }
  return { columns: stream.columns || 80, hasColours: !env.NO_COLOR && env.TERM !== 'dumb' }
}

/** Whether npm or npx started this process. https://docs.npmjs.com/cli/using-npm/scripts#environment */
export function isRunByNpm(env: Readonly<Record<string, string | undefined>> = process.env): boolean {
  return env.npm_command !== undefined
}
