/** Whether a text is a path of ours, that leads nowhere else. */
export function isOwnPath(path: string): boolean {
  return /^\/(?![/\\])[!-~]*$/.test(path) && path.length <= 2_000 && !/^\/(login|enter)/.test(path)
}
