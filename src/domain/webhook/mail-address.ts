/** Whether a text is one email address: no list, no display name, and no way to inject a header. */
export function isMailAddress(text: string): boolean {
  return text.length <= 254 && /^[^\s\p{C}@,;:<>"()[\]\\]+@[^\s\p{C}@,;:<>"()[\]\\]+$/u.test(text)
}

/** An address without the part that identifies a person. */
export const maskedAddress = (address: string): string => `…${address.slice(address.lastIndexOf('@'))}`
