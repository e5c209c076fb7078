import { expect } from 'chai'
import { isUuid } from '../src/index.ts'

const ID = '0197f3c0-0000-7000-8000-0123456789ab'

describe('isUuid', () => {
  for (const text of [ID, ID.toUpperCase(), '00000000-0000-0000-0000-000000000000']) {
    it(`accepts ${text}`, () => {
      expect(isUuid(text)).to.equal(true)
    })
  }

  for (const text of ['', 'x', `${ID}0`, ` ${ID}`, `${ID}\n`, `{${ID}}`, ID.replaceAll('-', '')]) {
    it(`refuses ${JSON.stringify(text)}`, () => {
      expect(isUuid(text)).to.equal(false)
    })
  }
})
