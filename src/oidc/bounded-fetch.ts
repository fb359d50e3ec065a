/** Discovery, keys and tokens are some kilobytes. */
const maxBytes = 512 * 1024

export class TooLarge extends Error {}

/** Fetches a small response as a whole; an aborted signal ends both. */
export async function boundedFetch(
  url: string,
  init: { method: string; headers: Record<string, string>; body?: unknown; signal?: AbortSignal },
): Promise<Response> {
  const response = await fetch(url, { ...(init as RequestInit), redirect: 'manual' })
  const { status, statusText, headers } = response
  if (response.body === null) return response
  const parts: Uint8Array[] = []
  let bytes = 0
  for await (const part of response.body) {
    bytes += part.length
    if (bytes > maxBytes) throw new TooLarge(`the answer has more than ${maxBytes} bytes`)
    parts.push(part)
  }
  const mayHaveBody = ![101, 204, 205, 304].includes(status)
  return new Response(mayHaveBody ? Buffer.concat(parts) : null, { status, statusText, headers })
}
