import { expect } from 'chai'
import fc from 'fast-check'
import { metadataOf, readMetadata } from '../src/index.ts'

const PAIRS: [what: string, name: string, value: unknown, expected: 'accepted' | string][] = [
  ['a plain pair', 'order', '7', 'accepted'],
  ['an empty value', 'order', '', 'accepted'],
  ['a blank name', ' ', 'x', 'accepted'],
  ['control characters other than U+0000', 'a\nb', '\u0001\t\u007f', 'accepted'],
  ['a name of 40 characters', 'x'.repeat(40), 'x', 'accepted'],
  ['a name of 40 characters beyond the BMP', '💰'.repeat(40), 'x', 'accepted'],
  ['a value of 500 characters', 'x', 'ደ'.repeat(500), 'accepted'],
  ['a value of 500 characters beyond the BMP', 'x', '💰'.repeat(500), 'accepted'],
  ['a name that objects inherit', 'constructor', 'x', 'accepted'],
  ['an empty name', '', 'x', 'metadata_name_length'],
  ['a name of 41 characters', 'x'.repeat(41), 'x', 'metadata_name_length'],
  ['a name of 41 characters beyond the BMP', '💰'.repeat(41), 'x', 'metadata_name_length'],
  ['a value of 501 characters', 'x', 'x'.repeat(501), 'metadata_value_length'],
  ['a value of 501 characters beyond the BMP', 'x', '💰'.repeat(501), 'metadata_value_length'],
  ['a number', 'x', 7, 'metadata_value_type'],
  ['null', 'x', null, 'metadata_value_type'],
  ['an object', 'x', {}, 'metadata_value_type'],
  ['a NUL in its name', 'a\u0000', 'x', 'metadata_characters'],
  ['a NUL in its value', 'x', 'a\u0000', 'metadata_characters'],
  ['half a surrogate pair in its name', '\ud83d', 'x', 'metadata_characters'],
  ['half a surrogate pair in its value', 'x', 'a\udcb0b', 'metadata_characters'],
  ['the name __proto__', '__proto__', 'x', 'metadata_name_reserved'],
]

const numbered = (count: number) => Array.from({ length: count }, (_, i) => [`name ${i}`, `${i}`] as const)
const orderOf = (names: string[]) => [...metadataOf(names.map((name) => [name, ''])).keys()]

describe('metadata', () => {
  for (const [what, name, value, expected] of PAIRS)
    it(`metadata with ${what} is ${expected === 'accepted' ? 'accepted as it is' : `rejected as ${expected}`}`, () => {
      const result = readMetadata([
        ['another', 'pair'],
        [name, value],
      ])
      if (result.ok)
        expect([...(result.value ?? [])]).to.have.deep.members([
          ['another', 'pair'],
          [name, value],
        ])
      else expect(result.refusals).to.have.length(1).and.to.have.nested.property('[0].name', name)
      expect(result.ok ? 'accepted' : result.refusals[0]?.code).to.equal(expected)
    })

  it('metadata with no pairs is none', () => {
    expect(readMetadata([])).to.deep.equal({ ok: true, value: null })
  })

  it('metadata has at most 50 pairs', () => {
    expect(readMetadata(numbered(50)).ok).to.equal(true)
    const refused = readMetadata(numbered(51))
    expect(refused).to.deep.equal({
      ok: false,
      refusals: [{ name: undefined, code: 'metadata_size', detail: 'must have at most 50 pairs' }],
    })
  })

  it('metadata with two wrong pairs is refused for both', () => {
    const result = readMetadata([
      ['a', 1],
      ['b', 'x'],
      ['', 'x'],
    ])
    expect(result.ok ? [] : result.refusals.map(({ name }) => name)).to.deep.equal(['a', ''])
  })

  it('metadata is in the byte order of the names, not in the order of numbers or UTF-16', () => {
    expect(orderOf(['\u{1f4b0}', '\uffee', 'b', '10', '9', 'B', 'é', 'ba'])).to.deep.equal(
      ['10', '9', 'B', 'b', 'ba', 'é', '\uffee', '\u{1f4b0}'], // UTF-16 puts the money bag before U+FFEE.
    )
  })

  it('metadata is in the order of the bytes in UTF-8 for any names', () => {
    const unit = fc.constantFrom('a', 'b', 'é', '\ue000', '\uffee', '\u{10000}', '\u{1f4b0}', '\u{10ffff}')
    fc.assert(
      fc.property(fc.uniqueArray(fc.string({ unit, maxLength: 4 }), { maxLength: 20 }), (names) => {
        const byBytes = names.toSorted((one, other) => Buffer.compare(Buffer.from(one), Buffer.from(other)))
        expect(orderOf(names)).to.deep.equal(byBytes)
      }),
      { numRuns: Number(process.env.PROPERTY_RUNS ?? 300) },
    )
  })
})
