import { DELIVERY_SIMULATIONS, SIMULATIONS } from '@cashflow/domain'
import { expect } from 'chai'
import { newReference, pointers, post } from '../requests.ts'
import { type ApiUnderTest, startApi } from '../start-api.ts'

const bodyOf = (simulate: unknown, more = {}) =>
  JSON.stringify({ amount: '1', currency: 'USD', reference: newReference(), metadata: { simulate, ...more } })

describe('api: metadata.simulate', () => {
  let api: ApiUnderTest
  afterEach(() => api.stop())

  const messagesOf = (id: string) =>
    api.db.selectFrom('outbox_messages').select(['message_id', 'topic']).where('key', '=', id).execute()

  it('accepts every simulation in a sandbox with the simulated provider, and stores a second message for duplicate_delivery', async () => {
    api = await startApi({ simulations: new Set(SIMULATIONS) })
    for (const simulate of SIMULATIONS) {
      const { status, body } = await post(api, bodyOf(simulate, { order: '7' }))
      expect(status).to.equal(201)
      expect(body.metadata).to.deep.equal({ order: '7', simulate })
      const messages = await messagesOf(body.id)
      expect(messages.map(({ topic }) => topic)).to.deep.equal(
        simulate === 'duplicate_delivery' ? ['payment.created', 'payment.created'] : ['payment.created'],
      )
      expect(new Set(messages.map(({ message_id }) => message_id)).size, 'consumers see one message').to.equal(1)
    }
  })

  it('rejects an unknown simulation in a sandbox, together with other wrong members', async () => {
    api = await startApi({ simulations: new Set(SIMULATIONS) })
    for (const simulate of ['', 'Success', 'success ', 'constructor'])
      expect(pointers(await post(api, bodyOf(simulate)))).to.deep.equal(['#/metadata/simulate'])
    expect(pointers(await post(api, bodyOf(7)))).to.deep.equal(['#/metadata/simulate'])
    const response = await post(api, bodyOf('x').replace('USD', 'EUR'))
    expect(pointers(response)).to.deep.equal(['#/currency', '#/metadata/simulate'])
    expect(response.body.errors[1].detail).to.equal(`must be one of ${SIMULATIONS.join(', ')}`)
  })

  it('rejects all simulations but those of messages and webhooks in a sandbox with another provider', async () => {
    api = await startApi({ simulations: new Set(DELIVERY_SIMULATIONS) })
    const isOfDeliveries = (simulate: string) => DELIVERY_SIMULATIONS.some((known) => known === simulate)
    for (const simulate of SIMULATIONS) {
      const response = await post(api, bodyOf(simulate))
      if (isOfDeliveries(simulate))
        expect(await messagesOf(response.body.id)).to.have.length(simulate === 'duplicate_delivery' ? 2 : 1)
      else expect(pointers(response)).to.deep.equal(['#/metadata/simulate'])
    }
  })

  it('takes simulate for metadata like any other outside of a sandbox', async () => {
    api = await startApi()
    for (const simulate of ['anything', 'duplicate_delivery', 'worker_crash']) {
      const { status, body } = await post(api, bodyOf(simulate))
      expect(status).to.equal(201)
      expect(body.metadata).to.deep.equal({ simulate })
      expect(await messagesOf(body.id)).to.have.length(1)
    }
  })
})
