import { expect } from 'chai'
import { readReference } from '../src/index.ts'

const REFERENCES: [name: string, text: string, expected: 'accepted' | string][] = [
  ['plain', 'REF-001', 'accepted'],
  ['one character', 'x', 'accepted'],
  ['255 characters', 'x'.repeat(255), 'accepted'],
  ['255 characters beyond the BMP, 510 UTF-16 units', '💰'.repeat(255), 'accepted'],
  ['any script', 'ደረሰኝ № 7 – “quoted”', 'accepted'],
  ['a symbol alone', '€', 'accepted'],
  ['an emoji alone', '🧾', 'accepted'],
  ['a hyphen alone', '-', 'accepted'],
  ['blanks around a digit', '  7 ', 'accepted'],
  ['format characters next to a letter', '\u202ea\u200b', 'accepted'],
  ['a single blank', ' ', 'reference_blank'],
  ['a no-break space and an ideographic one', '\u00a0\u3000', 'reference_blank'],
  ['a zero-width space', '\u200b', 'reference_blank'],
  ['joiners, a byte order mark and a soft hyphen', '\u200d\u2060\ufeff\u00ad', 'reference_blank'],
  ['a line separator', '\u2028', 'reference_blank'],
  ['a combining accent alone', '\u0301', 'reference_blank'],
  ['letters without ink: Hangul fillers', '\u3164\u115f\uffa0', 'reference_blank'],
  ['a Braille pattern without dots', '\u2800', 'reference_blank'],
  ['symbols without ink: a null notehead and blank hieroglyphs', '\u{1d159}\u{13441}\u{13442}', 'reference_blank'],
  ['255 blanks', ' '.repeat(255), 'reference_blank'],
  ['256 blanks', ' '.repeat(256), 'reference_length'],
  ['empty', '', 'reference_length'],
  ['256 characters', 'x'.repeat(256), 'reference_length'],
  ['a NUL', 'a\u0000b', 'reference_characters'],
  ['a line break', 'a\nb', 'reference_characters'],
  ['a tab', 'a\tb', 'reference_characters'],
  ['DEL', 'a\u007fb', 'reference_characters'],
  ['a C1 control', 'a\u0085b', 'reference_characters'],
  ['half a surrogate pair', 'a\ud83d', 'reference_characters'],
  ['the other half', '\udcb0a', 'reference_characters'],
]

describe('reference', () => {
  for (const [name, text, expected] of REFERENCES) {
    it(`reference with ${name} is ${expected === 'accepted' ? 'accepted' : `rejected as ${expected}`}`, () => {
      const result = readReference(text)
      expect(result.ok ? 'accepted' : result.refusal.code).to.equal(expected)
      if (result.ok) expect(result.value).to.equal(text)
    })
  }
})
