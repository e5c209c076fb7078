import { randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { defined } from '@cashflow/async'
import { cancelPayment, findCheck, rotateSecret, startCheck } from '@cashflow/db'
import { settleByHand } from '@cashflow/db/operator'
import { DEFAULT_MERCHANT_ID, EVENT_TYPES, eventId, type Outcome } from '@cashflow/domain'
import { eventually, OPERATOR, query, REPOSITORY } from '@cashflow/testing'
import { CHECK_NAMES, newSecret } from '@cashflow/webhook-sender'
import { Ajv2020 } from 'ajv/dist/2020.js'
import formats from 'ajv-formats'
import { expect } from 'chai'
import { type Received, type Receiver, startReceiver } from './receiver.ts'
import { type Rig, SECRETS, startRig } from './rig.ts'

/** What the API's document says about the webhook of one type of event. */
interface Documented {
  parameters: { in: string; name: string; required?: boolean; schema: object }[]
  requestBody: { required: boolean; content: { 'application/json': { schema: object } } }
}

const CHECK_TYPE = 'webhook.check'
const DECLINED = { outcome: 'declined', failureCode: 'card_declined' } as const

describe('webhooks and the document of the API', () => {
  let documented: ReadonlyMap<string, Documented>
  let errorsOf: (schema: object, value: unknown) => string
  let rig: Rig
  let receiver: Receiver

  before(async () => {
    const document = JSON.parse(await readFile(join(REPOSITORY, 'services/api/src/openapi/openapi.json'), 'utf8'))
    documented = new Map(
      Object.entries<{ post: Documented }>(document.webhooks).map(([name, { post }]) => [name, post]),
    )
    const ajv = new Ajv2020({ strict: false, allErrors: true })
    formats.default(ajv)
    ajv.addSchema(withoutUnknownMembers(document), 'api')
    errorsOf = (schema, value) => {
      const rooted = JSON.stringify(schema, (name, each) => (name === '$ref' ? `api${each}` : each))
      const validate = ajv.compile(JSON.parse(rooted))
      return validate(value) ? '' : ajv.errorsText(validate.errors)
    }
  })
  beforeEach(async () => {
    rig = await startRig()
    receiver = await startReceiver()
  })
  afterEach(async () => {
    await rig.stop()
    await receiver.stop()
  })

  async function settle(paymentId: string, outcome: Outcome): Promise<void> {
    expect(await settleByHand(rig.db, { paymentId, outcome, reason: 'tested', by: OPERATOR })).to.include({
      done: true,
    })
  }

  const storeEvent = (paymentId: string, sequence: number, type: string) =>
    query(
      rig.database.url,
      `insert into payment_events (payment_id, merchant_id, sequence, type, data, actor, created_at)
      values ($1, $2, $3, $4, '{"reference": "REF-2", "reference_before": "REF-1"}', 'migrate', now())`,
      { values: [paymentId, DEFAULT_MERCHANT_ID, sequence, type] },
    )

  const nameOf = (type: string) => (type.startsWith(CHECK_TYPE) ? CHECK_TYPE : type).replaceAll(/[._]/g, '-')

  function expectDocumented({ headers, body, type }: Received): void {
    const { parameters, requestBody } = defined(documented.get(nameOf(type)), `webhook of ${type}`)
    expect(parameters.map((parameter) => parameter.name)).to.include.members(
      Object.keys(headers).filter((name) => name.startsWith('webhook-')),
    )
    for (const { name, schema, required } of parameters)
      if (required || headers[name] !== undefined)
        expect(errorsOf(schema, headers[name]), `${type}: ${name}`).to.equal('')
    expect(errorsOf(requestBody.content['application/json'].schema, JSON.parse(body)), body).to.equal('')
  }

  it('webhooks: each type of event is sent with the headers and the body that the document of the API describes', async () => {
    const { id } = await rig.endpoint(receiver.url)
    const [approved, declined, canceled, waiting] = await Promise.all([rig.pay(), rig.pay(), rig.pay(), rig.pay()])
    await settle(approved, { outcome: 'approved' })
    await settle(declined, DECLINED)
    const name = { merchantId: DEFAULT_MERCHANT_ID, id: canceled, requestId: 'request-2' }
    expect(await cancelPayment(rig.db, name)).to.include({ outcome: 'canceled' })
    for (const paymentId of [approved, waiting]) await storeEvent(paymentId, 3, 'payment.reference_changed')
    await rig.start()
    await eventually(() => expect(new Set(receiver.ids())).to.have.lengthOf(9))
    await rig.delivered()

    expect([...documented.keys()]).to.have.members([...EVENT_TYPES, CHECK_TYPE].map(nameOf))
    expect(new Set(receiver.received.map(({ type }) => type))).to.deep.equal(new Set(EVENT_TYPES))
    for (const request of receiver.received) expectDocumented(request)
    const dataOf = (paymentId: string, sequence: number) =>
      receiver.received.find((request) => request.id === eventId(paymentId, sequence))?.data
    expect(dataOf(declined, 2)).to.include({ status: 'FAILED', failure_code: 'card_declined' })
    expect(dataOf(canceled, 2)).to.include({ status: 'FAILED', failure_code: 'canceled' })
    expect(dataOf(approved, 3)).to.include({ status: 'SUCCESS' })
    expect(dataOf(waiting, 3)).to.include({ status: 'PENDING' })

    const { sealed, keyId } = SECRETS.seal(newSecret(), id)
    await rotateSecret(rig.db, { merchantId: DEFAULT_MERCHANT_ID, id, secret: { sealed, keyId }, overlapMs: 60_000 })
    await rig.pay()
    rig.wake()
    const last = await eventually(() => {
      expect(receiver.received).to.have.lengthOf(10)
      return defined(receiver.received.at(-1), 'request')
    })
    expect(String(last.headers['webhook-signature']).split(' ')).to.have.lengthOf(2)
    expectDocumented(last)
  })

  it('webhooks: each request of a check has headers and a body that the document of the API describes', async () => {
    const endpoint = await rig.endpoint(receiver.url)
    const { sealed, keyId } = SECRETS.seal(newSecret(), endpoint.id)
    const name = { merchantId: DEFAULT_MERCHANT_ID, id: endpoint.id }
    await rotateSecret(rig.db, { ...name, secret: { sealed, keyId }, overlapMs: 60_000 })
    const asked = { merchantId: DEFAULT_MERCHANT_ID, endpointId: endpoint.id, id: randomUUID() }
    await startCheck(rig.db, { ...asked, kind: 'check' })
    await rig.start()
    await eventually(async () => expect((await findCheck(rig.db, asked))?.finishedAt).to.be.instanceOf(Date))
    const sent = new Set(receiver.received.map(({ data }) => data.check))
    expect([...sent, 'answer_time']).to.have.members(CHECK_NAMES)
    for (const request of receiver.received) expectDocumented(request)
  })
})

/** The document with every member of a body listed: the document itself lets bodies grow. */
// biome-ignore lint/suspicious/noExplicitAny: nodes of the document are of any shape.
function withoutUnknownMembers(node: any): any {
  if (typeof node !== 'object' || node === null) return node
  for (const child of Object.values(node)) withoutUnknownMembers(child)
  if (node.type === 'object' && node.properties) node.additionalProperties ??= false
  return node
}
