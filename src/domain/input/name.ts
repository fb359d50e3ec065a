/** A name as a person typed it, without white space around it; empty where nothing of it can be seen. */
export function nameIn(text: string): string {
  // U+2800 is a pattern of Braille without dots.
  return /[^\s\p{Cc}\p{Cf}\p{Default_Ignorable_Code_Point}\u2800]/u.test(text) ? text.trim() : ''
}
