/** Whether a text is a path on this server that can lead to no other. */
export function isOwnPath(path: string): boolean {
  return /^\/(?![/\\])[!-~]*$/.test(path) && path.length <= 2_000 && !/^\/(login|enter)/.test(path)
}
