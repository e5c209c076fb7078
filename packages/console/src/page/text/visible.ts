// Control characters, and those that change the direction of a line or begin a new one. Clients choose references, metadata
// and reasons. The command shows the same characters as escapes.
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are the characters that are looked for.
const HIDDEN = /([\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff])/

export interface Piece {
  readonly text: string
  /** True for the name of a character that would not be seen, such as `U+202E`. */
  readonly isHidden: boolean
}

/** The text in pieces, with the names of hidden characters in their places. */
export function piecesOf(text: string): Piece[] {
  return text
    .split(HIDDEN)
    .map((part, index) => ({ text: index % 2 === 1 ? nameOf(part) : part, isHidden: index % 2 === 1 }))
    .filter(({ text: part }) => part !== '')
}

/** The same as one text, for titles. */
export function visibleText(text: string): string {
  return piecesOf(text)
    .map((piece) => piece.text)
    .join('')
}

function nameOf(character: string): string {
  return `U+${character.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0')}`
}
