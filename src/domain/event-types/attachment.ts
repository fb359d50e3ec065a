/** The header `content-disposition` of a file to download. https://www.rfc-editor.org/rfc/rfc6266 */
export function attachment(name: string): string {
  return `attachment; filename="${name.replaceAll(/[^A-Za-z0-9._-]/g, '_')}"`
}
