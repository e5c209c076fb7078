import { expect } from 'chai'
import { isUuid } from '../src/index.ts'

const ID = '019a0000-0000-7000-8000-00000000000a'

describe('isUuid', () => {
  it('accepts UUIDs of any version, in either case', () => {
    for (const text of [ID, ID.toUpperCase(), '00000000-0000-0000-0000-000000000000'])
      expect(isUuid(text), text).to.equal(true)
  })

  it('rejects every other text, such as one with braces, without hyphens or with a line break at its end', () => {
    for (const text of ['', ID.slice(1), `${ID}0`, `{${ID}}`, ID.replaceAll('-', ''), `${ID}\n`, ID.replace('a', 'g')])
      expect(isUuid(text), text).to.equal(false)
  })
})
