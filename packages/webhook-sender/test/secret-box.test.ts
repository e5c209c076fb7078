import { expect } from 'chai'
import fc from 'fast-check'
import { createSecretBox, newSecret, parseSealingKeys, SecretKeyError } from '../src/index.ts'

const [OLD, NEW] = ['o'.repeat(32), 'n'.repeat(32)]
const ENDPOINT = '0199d000-0000-7000-8000-000000000001'
const OTHER = '0199d000-0000-7000-8000-000000000002'

describe('createSecretBox', () => {
  const box = createSecretBox(parseSealingKeys(NEW))

  it('secret box: opens what it sealed, and seals the same secret differently each time', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (secret) => {
        const sealed = box.seal(secret, ENDPOINT)
        expect(box.open(sealed, ENDPOINT)).to.equal(secret)
        expect(box.seal(secret, ENDPOINT).sealed).to.not.deep.equal(sealed.sealed)
      }),
    )
  })

  // Promise 120
  it('secret box: stores neither the secret nor the key', () => {
    const secret = newSecret()
    const { sealed, keyId } = box.seal(secret, ENDPOINT)
    for (const text of [secret, secret.slice(6), NEW, Buffer.from(secret.slice(6), 'base64')])
      expect(sealed.includes(text)).to.equal(false)
    expect(keyId).to.equal(box.currentKeyId)
  })

  it('secret box: seals with the first key of the list, and opens with all of them', () => {
    const old = createSecretBox(parseSealingKeys(OLD)).seal('secret', ENDPOINT)
    const both = createSecretBox(parseSealingKeys(`${NEW},${OLD}`))
    expect(both.open(old, ENDPOINT)).to.equal('secret')
    expect(both.currentKeyId).to.equal(box.currentKeyId).and.to.not.equal(old.keyId)
    expect(box.open(both.seal('secret', ENDPOINT), ENDPOINT)).to.equal('secret')
  })

  it('secret box: names the id of a key that is not in the list', () => {
    const old = createSecretBox(parseSealingKeys(OLD)).seal('secret', ENDPOINT)
    expect(() => box.open(old, ENDPOINT))
      .to.throw(SecretKeyError, `key ${old.keyId}, which is not in SECRETS_KEY`)
      .that.includes({ code: 'secrets_key_unknown', keyId: old.keyId })
  })

  it('secret box: opens no bytes of which a bit was changed, cut off or added', () => {
    const { sealed, keyId } = box.seal('secret', ENDPOINT)
    const changed = Array.from({ length: sealed.length * 8 }, (_, bit) => {
      const copy = Buffer.from(sealed)
      copy.writeUInt8(copy.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3)
      return copy
    })
    const cut = Array.from(sealed, (_byte, length) => sealed.subarray(0, length))
    for (const bytes of [...changed, ...cut, Buffer.concat([sealed, Buffer.of(0)])])
      expect(() => box.open({ sealed: bytes, keyId }, ENDPOINT))
        .to.throw(SecretKeyError, 'was changed in the database')
        .with.property('code', 'secret_changed')
  })

  it('secret box: opens no secret that was copied to another endpoint', () => {
    expect(() => box.open(box.seal('secret', ENDPOINT), OTHER)).to.throw(SecretKeyError, 'belongs to another endpoint')
  })
})
