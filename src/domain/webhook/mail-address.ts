/** An e-mail address, as far as it is looked at: no list, no name beside it, and nothing that a header could be made of. */
export function isMailAddress(text: string): boolean {
  return text.length <= 254 && /^[^\s@,;:<>"()[\]\\]+@[^\s@,;:<>"()[\]\\]+$/.test(text)
}

/** An address for whoever need not know whose it is. */
export const maskedAddress = (address: string): string => `…${address.slice(address.lastIndexOf('@'))}`
