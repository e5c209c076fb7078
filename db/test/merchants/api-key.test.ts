import { defined } from '@cashflow/async'
import { expect } from 'chai'
import fc from 'fast-check'
import { hashKey, newKey, parsePeppers, readKey } from '../../src/index.ts'

const [PEPPER, OTHER] = parsePeppers(`${'p'.repeat(32)},${'q'.repeat(32)}`)
const zeros = (bytes: number) => Buffer.alloc(bytes)
const ones = (bytes: number) => Buffer.alloc(bytes, 0xff)

describe('api key', () => {
  it('api key has a prefix of its deployment, an id, a secret and a checksum, all of fixed widths', () => {
    const [least, most] = [zeros, ones].map((random) => newKey({ sandbox: false, pepper: PEPPER, random }).secret)
    expect(least).to.match(/^cf_live_0{13}_0{33}[0-9A-Za-z]{6}$/)
    expect(most).to.equal('cf_live_1SkYaaiXSSTS3_2lFA6LboL2xx0ldQH2K1TdSrwuqMMiME31xgaxl')
    expect(newKey({ sandbox: true, pepper: PEPPER }).secret).to.match(/^cf_test_[0-9A-Za-z]{13}_[0-9A-Za-z]{39}$/)
  })

  it('api key differs from any other in its id and in its secret', () => {
    const keys = Array.from({ length: 1_000 }, () => newKey({ sandbox: true, pepper: PEPPER }))
    expect(new Set(keys.map(({ id }) => id))).to.have.property('size', 1_000)
    expect(new Set(keys.map(({ secret }) => secret.slice(22, 55)))).to.have.property('size', 1_000)
  })

  it('readKey reads the id of each key that newKey makes', () => {
    fc.assert(
      fc.property(fc.boolean(), fc.uint8Array({ minLength: 24, maxLength: 24 }), (sandbox, bytes) => {
        const random = (length: number) => Buffer.from(bytes.subarray(24 - length))
        const { id, secret } = newKey({ sandbox, pepper: PEPPER, random })
        expect(readKey(secret, { sandbox })).to.deep.equal({ id, text: secret })
        expect(readKey(secret, { sandbox: !sandbox })).to.equal(undefined)
      }),
    )
  })

  it('readKey refuses a key in which any one character is changed, missing, doubled or moved', () => {
    const { secret } = newKey({ sandbox: true, pepper: PEPPER, random: ones })
    for (let at = 0; at < secret.length; at++) {
      const [before, character, after] = [secret.slice(0, at), defined(secret[at], 'character'), secret.slice(at + 1)]
      const wrong = [...'0aZ_-é\n'].filter((other) => other !== character).map((other) => before + other + after)
      wrong.push(before + after, before + character + character + after)
      const [next = character, rest] = [after[0], after.slice(1)]
      if (next !== character) wrong.push(before + next + character + rest)
      for (const text of wrong) expect(readKey(text, { sandbox: true }), text).to.equal(undefined)
    }
  })

  for (const part of ['cf_test_', 'é'])
    it(`readKey refuses a long text of ${JSON.stringify(part)} without reading it`, function () {
      this.timeout(1_000) // Reading it once takes over 10 ms.
      const text = part.repeat(10_000_000)
      for (let count = 0; count < 100; count++) expect(readKey(text, { sandbox: true })).to.equal(undefined)
    })

  it('hashKey is the HMAC-SHA-256 of the whole key, and another one with another pepper', () => {
    const key = newKey({ sandbox: false, pepper: PEPPER, random: zeros })
    expect(key.hash).to.have.length(32).and.to.deep.equal(hashKey(key.secret, PEPPER))
    expect(key.hash).to.not.deep.equal(hashKey(key.secret, OTHER ?? PEPPER))
    expect(key.hash).to.not.deep.equal(hashKey(newKey({ sandbox: false, pepper: PEPPER }).secret, PEPPER))
    expect(key.pepperId).to.equal(PEPPER.id)
  })
})
