import { parseEnv } from '@cashflow/runtime'
import { expect } from 'chai'
import * as z from 'zod'
import { parseSealingKeys, secretsEnv } from '../src/index.ts'

const FIRST = 'a'.repeat(32)
const SECOND = `${'b'.repeat(43)}=`

describe('SECRETS_KEY', () => {
  const parse = (setting: string) => parseEnv(z.object(secretsEnv), { SECRETS_KEY: setting }).SECRETS_KEY

  it('SECRETS_KEY is a list whose order is kept, with an id and a key of 32 bytes for each, which do not contain it', () => {
    const keys = parse(`${FIRST}, ${SECOND}`)
    expect(keys?.map(({ id }) => id)).to.satisfy((ids: string[]) => ids.every((id) => /^[0-9a-f]{12}$/.test(id)))
    expect(keys?.map(({ key }) => key.length)).to.deep.equal([32, 32])
    expect(keys?.[0].key.toString()).to.not.equal(FIRST)
    expect(keys?.[1]).to.deep.equal(parseSealingKeys(SECOND)[0]).and.to.not.deep.equal(keys?.[0])
    expect(parse('')).to.equal(undefined)
  })

  for (const [what, setting] of [
    ['a key of 31 bytes', 'c'.repeat(31)],
    ['a second key of 31 bytes', `${FIRST},${'c'.repeat(31)}`],
    ['a comma at the end', `${FIRST},`],
    ['a space in a key', `${FIRST} ${SECOND}`],
    ['a character that is not ASCII', `${'c'.repeat(32)}é`],
    ['a key that is given twice', `${FIRST},${SECOND},${FIRST}`],
    ['nine keys', [...'abcdefghi'].map((letter) => letter.repeat(32)).join()],
  ] as const)
    it(`SECRETS_KEY refuses ${what}, and shows no key`, () => {
      expect(() => parse(setting))
        .to.throw(/^These settings are not usable:\n {2}SECRETS_KEY: must /)
        .with.property('message')
        .that.does.not.match(/[abc]{4}/)
    })
})
