import { expect } from 'chai'
import { readReference } from '../src/index.ts'

const REFERENCES: [name: string, text: string, expected: 'accepted' | string][] = [
  ['plain', 'REF-001', 'accepted'],
  ['one character', 'x', 'accepted'],
  ['255 characters', 'x'.repeat(255), 'accepted'],
  ['255 characters beyond the BMP, 510 UTF-16 units', '💰'.repeat(255), 'accepted'],
  ['any script', 'ደረሰኝ № 7 – “quoted”', 'accepted'],
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

describe('A reference', () => {
  for (const [name, text, expected] of REFERENCES) {
    it(`with ${name}: ${expected}`, () => {
      const result = readReference(text)
      expect(result.ok ? 'accepted' : result.refusal.code).to.equal(expected)
      if (result.ok) expect(result.value).to.equal(text)
    })
  }
})
