import { expect } from 'chai'
import { bodyWith, pointers, post, stored } from '../requests.ts'
import { type ApiUnderTest, startApi } from '../start-api.ts'

const VALID = { amount: 1, currency: 'USD', reference: 'never stored' }

const BODIES: [name: string, body: object | string, wrong: string[]][] = [
  ['nothing in it', {}, ['#/amount', '#/currency', '#/reference']],
  [
    'everything wrong',
    { amount: -1, currency: 'EUR', reference: '', x: 1 },
    ['#/amount', '#/currency', '#/reference', '#/x'],
  ],
  ['an amount that no currency holds', { ...VALID, amount: '0.001', currency: 'XXX' }, ['#/amount', '#/currency']],
  ['a lower-case currency', { ...VALID, currency: 'usd' }, ['#/currency']],
  ['a padded currency', { ...VALID, currency: 'USD ' }, ['#/currency']],
  ['a currency that objects inherit', { ...VALID, currency: 'toString' }, ['#/currency']],
  ['a currency that is no text', { ...VALID, currency: 840 }, ['#/currency']],
  ['a reference of 256 characters', { ...VALID, reference: 'x'.repeat(256) }, ['#/reference']],
  ['a reference with a NUL', { ...VALID, reference: 'a\u0000b' }, ['#/reference']],
  ['a reference with a line break', { ...VALID, reference: 'a\nb' }, ['#/reference']],
  ['half a surrogate pair', '{"amount":1,"currency":"USD","reference":"\\ud83d"}', ['#/reference']],
  ['a reference that is a number', { ...VALID, reference: 7 }, ['#/reference']],
  ['a reference that is null', { ...VALID, reference: null }, ['#/reference']],
  ['two unknown members', { ...VALID, status: 'SUCCESS', id: 1 }, ['#/status', '#/id']],
  ['a name that a pointer escapes', { ...VALID, 'a/b~c d%': 1 }, ['#/a~1b~0c%20d%25']],
  ['an empty name', { ...VALID, '': 1 }, ['#/']],
  ['a name that is no Unicode', '{"amount":1,"currency":"USD","reference":"r","\\ud800":1}', ['#/%EF%BF%BD']],
  ['__proto__', '{"amount":1,"currency":"USD","reference":"r","__proto__":{"x":1}}', ['#/__proto__']],
  [
    'members inherited from __proto__',
    '{"__proto__":{"amount":1,"currency":"USD","reference":"r"}}',
    ['#/amount', '#/currency', '#/reference', '#/__proto__'],
  ],
  ['constructor', { ...VALID, constructor: { prototype: 1 } }, ['#/constructor']],
]

describe('api: body of a payment', () => {
  let api: ApiUnderTest
  before(async () => {
    api = await startApi()
  })
  after(() => api.stop())

  for (const [name, body, wrong] of BODIES) {
    it(`rejects the body of a payment with ${name}, naming ${wrong.join(', ')}`, async () => {
      const response = await post(api, typeof body === 'string' ? body : JSON.stringify(body))
      expect(pointers(response)).to.have.members(wrong)
      expect(await stored(api)).to.deep.equal({ payments: 0, events: 0, messages: 0 })
    })
  }

  it('gets an error for each wrong member', async () => {
    const { body } = await post(api, JSON.stringify({ amount: 1.005, currency: 'EUR', note: 'x' }))
    expect(body.errors).to.deep.equal([
      { pointer: '#/amount', detail: 'must have at most 2 decimals' },
      { pointer: '#/currency', detail: 'must be USD or ETB' },
      { pointer: '#/reference', detail: 'is required' },
      { pointer: '#/note', detail: 'is not a member of a payment' },
    ])
  })

  it('gets at most 20 errors, and none with a long name', async () => {
    const names = Array.from({ length: 1_500 }, (_, index) => `${index}`)
    const many = await post(api, JSON.stringify(Object.fromEntries(names.map((name) => [name, 1]))))
    expect(pointers(many)).to.have.length(20)
    const long = await post(api, `{"${'é'.repeat(8_000)}":1}`)
    expect(pointers(long)).to.have.members(['#', '#/amount', '#/currency', '#/reference'])
    expect(Buffer.byteLength(long.text)).to.be.below(1_000)
  })

  for (const [what, reference] of [
    ['a blank', ' '],
    ['a zero-width space', '\u200b'],
    ['a no-break space and a word joiner', '\u00a0\u2060'],
  ])
    it(`rejects a payment whose reference consists of ${what}`, async () => {
      const response = await post(api, bodyWith({ reference }))
      expect(response.status).to.equal(400)
      expect(response.body.errors).to.deep.equal([
        { pointer: '#/reference', detail: 'must have at least one letter, digit, punctuation mark or symbol' },
      ])
    })

  for (const reference of [
    'x'.repeat(255),
    '💰'.repeat(255),
    ' a b ',
    'ደረሰኝ',
    "'; drop table payments; --",
    '__proto__',
  ]) {
    it(`accepts a payment with the reference ${JSON.stringify(reference).slice(0, 40)}`, async () => {
      const response = await post(api, bodyWith({ reference }))
      expect(response.status, response.text).to.equal(201)
      const found = await api.agent.get(response.headers.location ?? '')
      expect(found.body.reference).to.equal(reference)
    })
  }
})
