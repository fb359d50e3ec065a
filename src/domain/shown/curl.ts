/** The longest single argument that a program may be given on Linux is 128 KiB (execve(2), MAX_ARG_STRLEN). */
const longestArgument = 120_000

/**
 * A command for any POSIX shell that sends a request as it was sent: the same URL, headers and bytes of the body. curl
 * counts the body's length itself. A body that is too long for an argument is written into it by the shell.
 * https://curl.se/docs/manpage.html, https://pubs.opengroup.org/onlinepubs/9799919799/utilities/V3_chap02.html#tag_19_02_02
 */
export function curlCommand(request: {
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}): string {
  const { url, headers, body } = request
  // In a URL, curl would take brackets and braces for a pattern.
  const lines = [`curl --globoff ${quoted(url)}`]
  // A header without a value is one with a semicolon: with a colon, curl would leave it out.
  for (const [name, value] of Object.entries(headers))
    if (name.toLowerCase() !== 'content-length')
      lines.push(`--header ${quoted(value === '' ? `${name};` : `${name}: ${value}`)}`)
  const isLong = new TextEncoder().encode(body).length > longestArgument
  // Unlike `--data`, neither of these takes an @ for a file, or drops line ends.
  lines.push(isLong ? '--data-binary @-' : `--data-raw ${quoted(body)}`)
  const command = lines.join(' \\\n  ')
  return isLong ? `printf %s ${quoted(body)} | ${command}` : command
}

/** Between single quotes a shell changes nothing; one of them ends the text, and is written outside of it. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`
}
