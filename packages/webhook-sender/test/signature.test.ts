import { expect } from 'chai'
import fc from 'fast-check'
import { Webhook } from 'standardwebhooks'
import { newSecret, signatures, webhookHeaders } from '../src/index.ts'

describe('signatures of webhooks', () => {
  it('webhook signature: is the one of an example that OpenSSL computed', () => {
    // printf 'msg_1.1700000000.{"a":1}' | openssl dgst -sha256 -hmac 12345678901234567890123456789012 -binary | base64
    const secret = `whsec_${Buffer.from('12345678901234567890123456789012').toString('base64')}`
    const signed = { id: 'msg_1', timestampS: 1_700_000_000, body: '{"a":1}', secrets: [secret] }
    expect(signatures(signed)).to.equal('v1,X2Ct2TaYKGSRkeO1HGCVnWnqrr9YSKtTGLHEQ5vDXnI=')
    expect(signatures({ ...signed, body: Buffer.from(signed.body) })).to.equal(signatures(signed))
  })

  // Promise 120
  it('webhook signature: the official library verifies it for any body, with each of two secrets alone', () => {
    const bodies = fc.oneof(fc.json(), fc.string({ unit: 'grapheme' }), fc.string({ unit: 'binary' }))
    fc.assert(
      fc.property(bodies, fc.uuid(), fc.integer({ min: 0, max: 9 }), (value, payment, sequence) => {
        const [body, id] = [JSON.stringify({ value }), `evt_${payment}_${sequence}`]
        const secrets = [newSecret(), newSecret()]
        const headers = webhookHeaders({ id, body, secrets, now: new Date() })
        for (const secret of secrets) expect(new Webhook(secret).verify(body, headers)).to.deep.equal(JSON.parse(body))
        expect(() => new Webhook(newSecret()).verify(body, headers)).to.throw('No matching signature')
        expect(() => new Webhook(newSecret()).verify(`${body} `, headers)).to.throw('No matching signature')
      }),
    )
  })

  it('webhook headers: have whole seconds, and nothing of the secret', () => {
    const secret = newSecret()
    const now = new Date('2026-11-30T00:00:00.999Z')
    const headers = webhookHeaders({ id: 'evt_1', body: '{}', secrets: [secret], now })
    expect(headers).to.include({ 'webhook-id': 'evt_1', 'webhook-timestamp': '1795996800' })
    expect(headers['user-agent']).to.match(/^Cashflow-Webhooks\/\d+\.\d+\.\d+$/)
    expect(JSON.stringify(headers)).to.not.include(secret.slice('whsec_'.length))
  })

  it('webhook secrets: are 32 random bytes', () => {
    expect(newSecret((bytes) => Buffer.alloc(bytes, 1))).to.equal(`whsec_${Buffer.alloc(32, 1).toString('base64')}`)
    expect(newSecret())
      .to.match(/^whsec_[A-Za-z0-9+/]{43}=$/)
      .and.to.not.equal(newSecret())
  })
})
