import { expect } from 'chai'
import { MEMBERS, newReference, pointers, post, stored, textAsCreated } from '../requests.ts'
import { type ApiUnderTest, startApi } from '../start-api.ts'

/** A body whose metadata is this JSON text. */
const bodyOf = (metadata: string) =>
  `{"amount":100.50,"currency":"USD","reference":"${newReference()}","metadata":${metadata}}`

/** JSON text in which each UTF-16 unit is escaped. */
const escaped = (text: string) =>
  `"${Array.from({ length: text.length }, (_, i) => `\\u${text.charCodeAt(i).toString(16).padStart(4, '0')}`).join('')}"`

const FIFTY = Array.from({ length: 50 }, (_, i) => [`${i + 10}${'💰'.repeat(38)}`, '💰'.repeat(500)] as const)

const WRONG: [what: string, metadata: string, wrong: string[]][] = [
  ['null', 'null', ['#/metadata']],
  ['a string', '"x"', ['#/metadata']],
  ['a number', '7', ['#/metadata']],
  ['an array', '["x"]', ['#/metadata']],
  ['a number and null', '{"a":1,"b":null,"c":"x"}', ['#/metadata/a', '#/metadata/b']],
  ['an object', '{"a":{"b":"c"}}', ['#/metadata/a']],
  ['an empty name', '{"":"x"}', ['#/metadata/']],
  ['names that a pointer escapes', '{"a/b~c d%":1}', ['#/metadata/a~1b~0c%20d%25']],
  ['a name of 41 characters', `{"${'x'.repeat(41)}":"x"}`, [`#/metadata/${'x'.repeat(41)}`]],
  ['a name of 500 characters', `{"${'x'.repeat(500)}":"x"}`, ['#/metadata']],
  ['a value of 501 characters', `{"a":"${'x'.repeat(501)}"}`, ['#/metadata/a']],
  ['a NUL in a name', '{"a\\u0000":"x"}', ['#/metadata/a%00']],
  ['a NUL in a value', '{"a":"\\u0000"}', ['#/metadata/a']],
  ['half a surrogate pair in a name', '{"\\ud83d":"x"}', ['#/metadata/%EF%BF%BD']],
  ['half a surrogate pair in a value', '{"a":"\\ud83d"}', ['#/metadata/a']],
  ['__proto__', '{"__proto__":"x"}', ['#/metadata/__proto__']],
  ['an object as __proto__', '{"__proto__":{"a":"b"}}', ['#/metadata/__proto__']],
  ['a name given twice', '{"a":"x","b":"y","a":"x"}', ['#/metadata/a']],
  ['a name given twice, once escaped', '{"a":"x:","\\u0061":"y"}', ['#/metadata/a']],
  ['51 pairs', `{${Array.from({ length: 51 }, (_, i) => `"${i}":"x"`).join(',')}}`, ['#/metadata']],
]

describe('api: metadata of a payment', () => {
  let api: ApiUnderTest
  before(async () => {
    api = await startApi()
  })
  after(() => api.stop())

  for (const [what, metadata, wrong] of WRONG)
    it(`rejects a payment whose metadata has ${what}, naming ${wrong.join(' and ').slice(0, 60)}`, async () => {
      const response = await post(api, bodyOf(metadata))
      expect(pointers(response)).to.deep.equal(wrong)
      expect(await stored(api)).to.deep.equal({ payments: 0, events: 0, messages: 0 })
    })

  it('answers with the metadata in the byte order of its names, in the 201 and to GET', async () => {
    const created = await post(api, bodyOf('{"💰":"a","ﾮ":"b","b":"\\"\\n","9":"","10":"é","constructor":"x"}'))
    expect(created.status, created.text).to.equal(201)
    expect(created.text).to.match(/,"metadata":\{"10":"é","9":"","b":"\\"\\n","constructor":"x","ﾮ":"b","💰":"a"\}\}$/)
    const found = await api.agent.get(created.headers.location ?? '')
    expect(textAsCreated(found)).to.equal(created.text)
  })

  it('answers without the member to a payment without metadata, or with empty metadata', async () => {
    for (const body of [bodyOf('{}'), bodyOf('{}').replace(',"metadata":{}', '')]) {
      const created = await post(api, body)
      expect(created.body).to.have.all.keys(...MEMBERS)
      expect(textAsCreated(await api.agent.get(created.headers.location ?? ''))).to.equal(created.text)
      const row = await api.db.selectFrom('payments').select('metadata').where('id', '=', created.body.id).execute()
      expect(row).to.deep.equal([{ metadata: null }])
    }
  })

  it('accepts the largest metadata, also with each character escaped', async () => {
    const plain = bodyOf(JSON.stringify(Object.fromEntries(FIFTY)))
    const large = bodyOf(`{${FIFTY.map(([name, value]) => `${escaped(name)}:${escaped(value)}`).join(',')}}`)
    expect(Buffer.byteLength(large)).to.be.above(300_000)
    for (const body of [plain, large]) {
      const created = await post(api, body)
      expect(created.status, created.text.slice(0, 500)).to.equal(201)
      const found = await api.agent.get(created.headers.location ?? '')
      expect(textAsCreated(found)).to.equal(created.text)
      expect(Object.entries(found.body.metadata)).to.deep.equal(FIFTY)
    }
  })

  it('takes a name in metadata and the same name outside of it for two members', async () => {
    const created = await post(api, bodyOf('{"amount":"1:2","metadata":"x"}'))
    expect(created.body.metadata).to.deep.equal({ amount: '1:2', metadata: 'x' })
  })
})
