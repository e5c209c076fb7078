import { expect } from 'chai'
import { ageText } from '../src/age-text.ts'

describe('ageText', () => {
  for (const [ms, text] of [
    [0, '0ms'],
    [350, '350ms'],
    [1_550, '1.5s'],
    [9_999, '9.9s'],
    [42_900, '42s'],
    [60_000, '1m'],
    [310_000, '5m 10s'],
    [7_260_000, '2h 1m'],
    [273_600_000, '3d 4h'],
  ] as const)
    it(`ageText: ${ms} ms is ${text}`, () => {
      expect(ageText(ms)).to.equal(text)
    })
})
