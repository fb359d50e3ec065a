/** Linux limits a single argument to 128 KiB (execve(2), MAX_ARG_STRLEN). */
const longestArgument = 120_000

/**
 * A command for any POSIX shell that repeats a request: URL, headers and body byte for byte. curl counts the body's length
 * itself; a body too long for an argument is a here-document.
 * https://curl.se/docs/manpage.html, https://pubs.opengroup.org/onlinepubs/9799919799/utilities/V3_chap02.html#tag_19_02_02
 */
export function curlCommand(request: {
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}): string {
  const { url, headers, body } = request
  // curl expands brackets and braces in a URL.
  const lines = [`curl --globoff ${quoted(url)}`]
  // curl omits a header with a colon and no value: an empty header has a semicolon.
  for (const [name, value] of Object.entries(headers))
    if (name.toLowerCase() !== 'content-length')
      lines.push(`--header ${quoted(value === '' ? `${name};` : `${name}: ${value}`)}`)
  const isLong = new TextEncoder().encode(body).length > longestArgument
  // Unlike `--data`, these neither read files by @ nor drop line ends.
  lines.push(isLong ? '--data-binary @-' : `--data-raw ${quoted(body)}`)
  const command = lines.join(' \\\n  ')
  return isLong ? `printf %s ${quoted(body)} | ${command}` : command
}

/** A shell changes nothing between single quotes; a quote itself is written outside of them. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`
}
