import { expect } from 'chai'
import type { DeliveryRow, Facts } from '../../src/facts.ts'
import type { ShownPayment } from '../../src/payment-request.ts'
import type { WebhookRequest } from '../../src/receiver.ts'
import type { WebhookEndpoint } from '../../src/webhook-endpoints.ts'
import { broken, GOOD, ID, OTHER, PAYMENT, SEEN_1, SEEN_2 } from '../good-facts.ts'

const CREATED_AT = '2026-11-30T12:00:00.000Z'
const SHOWN_PAYMENT = { id: ID, amount: 1, amount_minor: 100, currency: 'USD', reference: 'ref', status: 'PENDING' }
const EVENT = {
  id: SEEN_1,
  type: 'payment.created',
  sequence: 1,
  previous_event_id: null,
  payment: SHOWN_PAYMENT,
  failure_code: null,
  actor: 'api',
  request_id: 'request',
  created_at: CREATED_AT,
}
const SHOWN = [
  EVENT,
  {
    ...EVENT,
    ...{ id: SEEN_2, type: 'payment.succeeded', sequence: 2, previous_event_id: SEEN_1, actor: 'worker' },
    payment: { ...SHOWN_PAYMENT, status: 'SUCCESS' },
  },
]

function bodyOf({ type, created_at: timestamp, payment, sequence, previous_event_id, request_id }: typeof EVENT) {
  return { type, timestamp, data: { ...payment, sequence, previous_event_id, request_id, api_version: 'v1' } }
}

const [BODY_1, BODY_2] = SHOWN.map((event) => JSON.stringify(bodyOf(event as typeof EVENT))) as [string, string]

function request(id: string, body: string, change: Partial<WebhookRequest> = {}): WebhookRequest {
  return { at: 20, headers: { 'webhook-id': id }, body, signedBy: [0], acceptedAt: 21, ...change }
}

const REQUEST_1 = request(SEEN_1, BODY_1)
const REQUEST_2 = request(SEEN_2, BODY_2, { at: 40, acceptedAt: 41 })
const ENDPOINT: WebhookEndpoint = {
  id: 'endpoint',
  merchantId: PAYMENT.merchantId,
  types: null,
  ordering: 'payment',
  secrets: [{ secret: 'one', since: 0 }],
  requests: [REQUEST_1, REQUEST_2],
}
const DELIVERY_1: DeliveryRow = {
  endpointId: 'endpoint',
  paymentId: ID,
  sequence: 1,
  status: 'succeeded',
  isReplay: false,
}
const DELIVERY_2: DeliveryRow = { ...DELIVERY_1, sequence: 2 }

/** The facts of a payment whose two events were delivered to one endpoint, with changes. */
function delivered(endpoint: Partial<WebhookEndpoint>, change: Partial<Facts> = {}): Partial<Facts> {
  return {
    endpoints: [{ ...ENDPOINT, ...endpoint }],
    deliveries: [DELIVERY_1, DELIVERY_2],
    shownEvents: new Map(SHOWN.map((event) => [event.id, event])),
    ...change,
  }
}
const got = (...requests: WebhookRequest[]) => delivered({ requests })

const REORDERED = [{ ...REQUEST_2, at: 10, acceptedAt: 11 }, REQUEST_1]

/** The facts of the payment with `metadata.simulate`. */
function asking(simulate: string): Pick<Facts, 'payments' | 'paymentRequests' | 'lists'> {
  const metadata = { simulate }
  return {
    payments: [{ ...PAYMENT, metadata }],
    paymentRequests: GOOD.paymentRequests.map((request) => ({
      ...request,
      metadata,
      views: request.views.map((view) => ({ ...view, payment: { ...view.payment, metadata } as ShownPayment })),
    })),
    lists: GOOD.lists.map((list) => ({
      ...list,
      payments: list.payments.map((payment) => ({ ...payment, metadata })),
    })),
  }
}

describe('invariants about webhooks', () => {
  const made = 'each event has a delivery to each endpoint of its merchant that wants it'
  const accepted = 'each delivery was accepted by its endpoint at least once'
  const ordered = 'with ordering "payment" no event is sent before the one before it was accepted'
  const doubled = 'each delivery of a payment with webhook_duplicate was accepted twice'
  const signed =
    'each webhook is signed with the present secret of its endpoint, or with the former one while both sign'
  const same = 'all requests about an event have its id and the same body'
  const asShown = 'a webhook has the payment as the feed shows it'
  const own = 'an endpoint gets events of its merchant and its types only, and none after its deletion'

  const REFUSED = { ...REQUEST_1, acceptedAt: undefined } as unknown as WebhookRequest
  const holding: [title: string, change: Partial<Facts>][] = [
    ['two events that were delivered in their order', delivered({})],
    ['an event that is sent again after it was accepted', got(REQUEST_1, REQUEST_2, { ...REQUEST_1, at: 50 })],
    ['an event that is refused at first', got({ ...REFUSED, at: 10 }, REQUEST_1, REQUEST_2)],
    ['an endpoint that wants no event', delivered({ types: ['payment.failed'], requests: [] }, { deliveries: [] })],
    ['a deleted endpoint', delivered({ requests: [REQUEST_1], deletedAt: 30 }, { deliveries: [] })],
    [
      'events in another order at an endpoint without an order',
      delivered({ ordering: 'none', requests: [{ ...REQUEST_2, at: 10 }, REQUEST_1] }),
    ],
    [
      'an event that was missed and replayed after a later one',
      delivered(
        { requests: [REQUEST_2, { ...REQUEST_1, at: 90, acceptedAt: 91 }] },
        { deliveries: [{ ...DELIVERY_1, isReplay: true }, DELIVERY_2] },
      ),
    ],
    ['a payment that asks for another order', delivered({ requests: REORDERED }, asking('webhook_reorder'))],
    [
      'a payment that asks for each event twice',
      delivered({ requests: [REQUEST_1, REQUEST_1, REQUEST_2, REQUEST_2] }, asking('webhook_duplicate')),
    ],
    [
      'an event that is asked for twice, and was replayed once',
      delivered(
        { requests: [REQUEST_1, REQUEST_2] },
        {
          ...asking('webhook_duplicate'),
          deliveries: [DELIVERY_1, DELIVERY_2].map((delivery) => ({ ...delivery, isReplay: true })),
        },
      ),
    ],
    [
      'a former secret that signs while both do',
      delivered({ secrets: [...ENDPOINT.secrets, { secret: 'two', since: 15 }] }),
    ],
    [
      'an event that only a lost primary stored',
      {
        ...got(REQUEST_1, REQUEST_2, request(`evt_${OTHER}_1`, BODY_1.replaceAll(ID, OTHER), { at: 50 })),
        failovers: [{ from: 45, to: 60 }],
      },
    ],
  ]
  for (const [title, change] of holding) {
    it(`invariants about webhooks hold for ${title}`, () => {
      expect(broken(change)).to.eql([])
    })
  }

  const late = 46_000
  const cases: [title: string, rule: string, change: Partial<Facts>][] = [
    ['an event without a delivery', made, delivered({}, { deliveries: [DELIVERY_1] })],
    ['an event that never arrived', accepted, got(REQUEST_1)],
    ['an event that was only refused', accepted, got(REFUSED)],
    ['a successor that comes first', ordered, got({ ...REQUEST_2, at: 10 }, REQUEST_1)],
    ['a successor that comes before an answer', ordered, got(REQUEST_1, { ...REQUEST_2, at: 20.5 })],
    [
      'a successor that comes after a refusal',
      ordered,
      got(REFUSED, { ...REQUEST_2, at: 30 }, { ...REQUEST_1, at: 35, acceptedAt: 36 }),
    ],
    ['late events that come in another order', ordered, delivered({ requests: REORDERED }, asking('webhook_late'))],
    [
      'doubled events that come in another order',
      ordered,
      delivered({ requests: [...REORDERED, ...REORDERED] }, asking('webhook_duplicate')),
    ],
    ['an event that came once, and is asked for twice', doubled, delivered({}, asking('webhook_duplicate'))],
    [
      'an event that never arrived, of a payment that asks for another order',
      accepted,
      delivered({ requests: [REQUEST_2] }, asking('webhook_reorder')),
    ],
    ['a request that no secret has signed', signed, got(REQUEST_1, { ...REQUEST_2, signedBy: [] })],
    [
      'a former secret that signs alone after the overlap',
      signed,
      delivered({
        secrets: [...ENDPOINT.secrets, { secret: 'two', since: 0 }],
        requests: [REQUEST_1, { ...REQUEST_2, at: late }],
      }),
    ],
    ['a body that changes', same, got(REQUEST_1, REQUEST_2, { ...REQUEST_1, at: 50, body: `${BODY_1} ` })],
    ['another id of an event', same, got(REQUEST_1, REQUEST_2, request('evt_another', BODY_1))],
    [
      'another status than the feed has',
      asShown,
      got(REQUEST_1, { ...REQUEST_2, body: BODY_2.replace('SUCCESS', 'FAILED') }),
    ],
    ['a type that it does not want', own, delivered({ types: ['payment.created'] })],
    ['a request after the deletion', own, delivered({ deletedAt: 10, requests: [{ ...REQUEST_1, at: late }] })],
    ['an event of no payment', own, got(REQUEST_1, REQUEST_2, request(`evt_${OTHER}_1`, BODY_1.replaceAll(ID, OTHER)))],
    [
      'an event of another merchant',
      own,
      {
        ...got(REQUEST_1, REQUEST_2, request(`evt_${OTHER}_1`, BODY_1.replaceAll(ID, OTHER))),
        payments: [PAYMENT, { ...PAYMENT, id: OTHER, merchantId: 'another' }],
        events: [...GOOD.events, ...GOOD.events.map((event) => ({ ...event, paymentId: OTHER }))],
      },
    ],
    [
      'deliveries that are left',
      'no message and no unfinished payment is left',
      { ...delivered({}), backlog: { ...GOOD.backlog, webhooks: 1 } },
    ],
  ]
  for (const [title, rule, change] of cases) {
    it(`invariants about webhooks are broken by ${title}`, () => {
      expect(broken(change)).to.include(rule)
    })
  }
})
