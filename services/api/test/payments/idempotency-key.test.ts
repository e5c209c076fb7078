import { expect } from 'chai'
import { readIdempotencyKey } from '../../src/payments/idempotency-key.ts'
import { Problem } from '../../src/problem.ts'
import { sendRaw } from '../raw-request.ts'
import { bodyWith } from '../requests.ts'
import { type ApiUnderTest, startApi } from '../start-api.ts'

describe('header Idempotency-Key', () => {
  const read = (text: string | undefined) =>
    readIdempotencyKey({
      headers: { 'idempotency-key': text },
      headersDistinct: { 'idempotency-key': [text] },
    } as never)

  it('is optional', () => {
    expect(read(undefined)).to.equal(undefined)
  })

  const KEYS: [header: string, key: string][] = [
    ['a', 'a'],
    ['"a"', 'a'],
    ['8e03978e-40d5-43dd-bc93-6894a57f9324', '8e03978e-40d5-43dd-bc93-6894a57f9324'],
    ['"a b, c; d=\'e\'"', "a b, c; d='e'"],
    ['" "', ' '],
    ['"a\\"b\\\\c"', 'a"b\\c'],
    ['a\\b', 'a\\b'],
    ['"a\\\\b"', 'a\\b'],
    [":!#$%&'()*+-./<=>?@[]^_`{|}~", ":!#$%&'()*+-./<=>?@[]^_`{|}~"],
    ['k'.repeat(255), 'k'.repeat(255)],
    [`"${'\\"'.repeat(255)}"`, '"'.repeat(255)],
  ]
  for (const [header, key] of KEYS)
    it(`is ${JSON.stringify(key).slice(0, 40)} if ${JSON.stringify(header).slice(0, 40)} is sent`, () => {
      expect(read(header)).to.equal(key)
    })

  const SYNTAX = [
    'a b',
    'a,b',
    'a;b',
    'a"b',
    '"a',
    'a"',
    '"',
    '"a"b',
    '"a";b',
    '"a"; b=1',
    '"a" "b"',
    '"a\\b"',
    '"a\\"',
  ]
  const CHARACTERS = ['é', '"é"', '\u007f', '"\t"', 'a\tb', '"a\u007f"', '\u0000', '"\u0000"']
  for (const header of [...SYNTAX, ...CHARACTERS])
    it(`is refused, with its syntax, if ${JSON.stringify(header)} is sent`, () => {
      expect(() => read(header)).to.throw(Problem, 'Idempotency-Key must be a quoted string')
    })

  for (const header of ['', '""', 'k'.repeat(256), `"${'k'.repeat(256)}"`])
    it(`is refused, with its length, if ${JSON.stringify(header).slice(0, 20)} of ${header.length} characters is sent`, () => {
      expect(() => read(header)).to.throw(Problem, 'Idempotency-Key must have 1 to 255 characters')
    })

  describe('in a request', () => {
    let api: ApiUnderTest
    before(async () => {
      api = await startApi()
    })
    after(() => api.stop())

    async function send(...lines: string[]) {
      const body = bodyWith()
      const head = [
        'POST /payments HTTP/1.1',
        'Host: x',
        'Connection: close',
        'Content-Type: application/json',
        `Content-Length: ${body.length}`,
      ]
      const bytes = Buffer.from([...head, ...lines, '', body].join('\r\n'), 'latin1')
      return await sendRaw(api.http.url, { bytes })
    }

    for (const [name, lines] of [
      ['two keys', ['Idempotency-Key: a', 'idempotency-key: b']],
      ['the same key twice', ['Idempotency-Key: a', 'Idempotency-Key: a']],
      ['two headers that would be one string if they were joined', ['Idempotency-Key: "a', 'Idempotency-Key: b"']],
      ['a key and an empty one', ['Idempotency-Key: a', 'Idempotency-Key:']],
    ] as const)
      it(`is refused as sent twice: ${name}`, async () => {
        const { status, body } = await send(...lines)
        expect(body).to.include({ status: 400, code: 'bad-request' })
        expect(body.detail).to.equal('The request has more than one Idempotency-Key header.')
        expect(status).to.equal(400)
      })

    it('may have spaces and tabs around its value', async () => {
      const { status, body } = await send('Idempotency-Key: \t "spaces around" \t')
      expect(status, JSON.stringify(body)).to.equal(201)
      const stored = api.db.selectFrom('payments').select('idempotency_key').where('id', '=', body.id)
      expect(await stored.executeTakeFirst()).to.deep.equal({ idempotency_key: 'spaces around' })
    })

    it('is refused if it is empty', async () => {
      expect((await send('Idempotency-Key:')).body).to.include({ code: 'bad-request' })
    })

    it('is refused if its bytes are UTF-8', async () => {
      expect((await send('Idempotency-Key: \u00c3\u00a9')).body).to.include({ code: 'bad-request' })
    })

    it('has no effect on GET', async () => {
      const { body } = await send('Idempotency-Key: of-a-get')
      const found = await api.agent.get(`/payments/${body.id}`).set('Idempotency-Key', '"not a key')
      expect(found.status).to.equal(200)
      expect(found.body).to.include(body)
    })
  })
})
