import { accept, type Result, refuse } from './result.ts'

/** Maximum length in code points, which PostgreSQL's char_length counts too. */
export const REFERENCE_LENGTH_MAX = 255

// Cc: control characters, such as U+0000, which PostgreSQL cannot store. Cs: halves of a surrogate pair, which UTF-8 lacks.
const UNSTORABLE = /[\p{Cc}\p{Cs}]/u

// Spaces, combining marks and format characters (U+200B, U+202E) do not count: two references would look the same. Some
// letters and symbols are invisible too: Hangul fillers, the Braille pattern without dots, a null notehead, and blank
// hieroglyphs.
const VISIBLE = /[[\p{L}\p{N}\p{P}\p{S}]--[\p{Default_Ignorable_Code_Point}\u2800\u{1D159}\u{13441}\u{13442}]]/v

export type ReferenceCode = 'reference_length' | 'reference_characters' | 'reference_blank'

/**
 * Reads a merchant's name for a payment. It is neither trimmed nor normalised, and compared byte by byte. At least one
 * character is visible.
 */
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
