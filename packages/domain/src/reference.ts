import { accept, type Result, refuse } from './result.ts'

/** In code points, as PostgreSQL's char_length counts them. */
export const REFERENCE_LENGTH_MAX = 255

// Cc: control characters, with the U+0000 that PostgreSQL cannot store. Cs: halves of a surrogate pair, which no UTF-8 has.
const UNSTORABLE = /[\p{Cc}\p{Cs}]/u

// Not spaces, combining marks or format characters (U+200B, U+202E), with which two references look the same. Some
// letters and symbols have no ink either: Hangul fillers, the Braille pattern without dots, a null notehead, and blank
// hieroglyphs.
const VISIBLE = /[[\p{L}\p{N}\p{P}\p{S}]--[\p{Default_Ignorable_Code_Point}\u2800\u{1D159}\u{13441}\u{13442}]]/v

export type ReferenceCode = 'reference_length' | 'reference_characters' | 'reference_blank'

/** The merchant's own name for a payment, taken as it is: neither trimmed nor normalised, compared byte by byte. At least one character is visible. */
export function readReference(text: string): Result<string, ReferenceCode> {
  if (UNSTORABLE.test(text))
    return refuse('reference_characters', 'must not contain control characters or broken Unicode')
  const length = [...text].length
  if (length < 1 || length > REFERENCE_LENGTH_MAX)
    return refuse('reference_length', `must have 1 to ${REFERENCE_LENGTH_MAX} characters`)
  if (!VISIBLE.test(text))
    return refuse('reference_blank', 'must have at least one letter, digit, punctuation mark or symbol')
  return accept(text)
}
