import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { REPOSITORY } from '@cashflow/testing'
import { expect } from 'chai'
import { differencesFrom, type Node } from './document-types.ts'

describe('@cashflow/client: types', function () {
  this.timeout(30_000)
  let document: Node
  beforeEach(async () => {
    document = JSON.parse(await readFile(join(REPOSITORY, 'services/api/src/openapi/openapi.json'), 'utf8'))
  })

  it('client: its types have the members of the API’s document, with their values, and no other', async () => {
    expect(await differencesFrom(document)).to.equal('')
  })

  it('client: a document that gains, loses or changes a member does not fit the types', async () => {
    const { Payment, NewPayment, Event, EventPage, PaymentPage, UnavailableProblem, WebhookData, WebhookCheckCase } =
      document.components.schemas
    const list = document.paths['/payments'].get.parameters
    NewPayment.required.push('metadata')
    NewPayment.properties.currency.enum.push('EUR')
    Payment.properties.amount = { type: 'boolean' }
    Payment.properties.fee = { type: 'integer' }
    delete Payment.properties.next_action_at
    document.components.schemas.WaitingFor.enum.pop()
    Event.properties.failure_code = { type: 'string' }
    EventPage.required.pop()
    PaymentPage.properties.has_more = { type: 'string' }
    UnavailableProblem.properties.failing.items.enum.push('rabbitmq')
    WebhookData.properties.sequence = { type: 'string' }
    WebhookCheckCase.properties.name.enum.push('oversized')
    list.push({ name: 'amount_minor', in: 'query', required: true, schema: { type: 'integer' } })
    const named = (await differencesFrom(document)).matchAll(/"(\w+\.[\w-]+)"/g)
    expect([...new Set([...named].map(([, name]) => name))]).to.have.members([
      ...['NewPayment.currency', 'NewPayment.metadata', 'ListOptions.amount_minor', 'PaymentEvent.failure_code'],
      ...['CreatedPayment.amount', 'CreatedPayment.fee', 'Payment.amount', 'Payment.fee', 'Payment.next_action_at'],
      ...['Payment.waiting_for', 'PaymentPage.data', 'PaymentPage.has_more', 'PaymentEvents.data'],
      ...['EventPage.data', 'EventPage.delayed_ms', 'Problem.failing', 'Problem.waiting_for', 'WebhookData.sequence'],
      'WebhookCheck.report',
    ])
  })
})
