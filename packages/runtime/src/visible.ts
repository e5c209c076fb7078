// Control characters (C0, DEL, C1), and those that change a line's direction or begin a new one. A terminal would obey them,
// and clients choose references, metadata and reasons.
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are the characters that are looked for.
const HIDDEN = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g

const escaped = (character: string) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`

/** The text in one line, with characters that a terminal would obey written as `\u001b`. */
export function visible(text: string): string {
  return text.replace(HIDDEN, escaped)
}

/** The same for each line of a text. */
export function visibleLines(text: string): string {
  return text.split('\n').map(visible).join('\n')
}

/** A time without a date, which only a change by hand stores. JSON has no such number. */
function infiniteAsText(_name: string, value: unknown): unknown {
  return value === Number.POSITIVE_INFINITY || value === Number.NEGATIVE_INFINITY ? String(value) : value
}

/** JSON in one line. It shows a terminal no control character, and is read back as the same value. */
export function jsonLine(value: unknown): string {
  return visible(JSON.stringify(value, infiniteAsText))
}
