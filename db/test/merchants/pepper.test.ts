import { parseEnv } from '@cashflow/runtime'
import { expect } from 'chai'
import * as z from 'zod'
import { parsePeppers, pepperEnv } from '../../src/index.ts'

const FIRST = 'a'.repeat(32)
const SECOND = `${'b'.repeat(43)}=`

describe('KEY_PEPPER', () => {
  const parse = (setting: string) => parseEnv(z.object(pepperEnv), { KEY_PEPPER: setting }).KEY_PEPPER

  it('KEY_PEPPER is a list whose order is kept, with an id for each pepper that does not contain it', () => {
    const peppers = parse(`${FIRST}, ${SECOND}`)
    expect(peppers?.map(({ value }) => value.toString())).to.deep.equal([FIRST, SECOND])
    expect(peppers?.map(({ id }) => id)).to.satisfy((ids: string[]) => ids.every((id) => /^[0-9a-f]{12}$/.test(id)))
    expect(peppers?.[1]?.id).to.equal(parsePeppers(SECOND)[0].id).and.to.not.equal(peppers?.[0].id)
    expect(parse('')).to.equal(undefined)
  })

  for (const [what, setting] of [
    ['a pepper of 31 bytes', 'c'.repeat(31)],
    ['a second pepper of 31 bytes', `${FIRST},${'c'.repeat(31)}`],
    ['a comma at the end', `${FIRST},`],
    ['a space in a pepper', `${FIRST} ${SECOND}`],
    ['a character that is not ASCII', `${'c'.repeat(32)}é`],
    ['a pepper that is given twice', `${FIRST},${SECOND},${FIRST}`],
    ['nine peppers', [...'abcdefghi'].map((letter) => letter.repeat(32)).join()],
  ] as const)
    it(`KEY_PEPPER refuses ${what}, and shows no pepper`, () => {
      expect(() => parse(setting))
        .to.throw(/^These settings are not usable:\n {2}KEY_PEPPER: must /)
        .with.property('message')
        .that.does.not.match(/[abc]{4}/)
    })
})
