import { expect } from 'chai'
import type { Facts } from '../src/facts.ts'
import { COMMIT_TIMES_KNOWN } from '../src/rules/services.ts'
import {
  AWAY,
  answered,
  broken,
  brokenBeside,
  CHARGE,
  CREATED,
  ENDED,
  GOOD,
  ID,
  LETTER,
  OTHER,
  PARKED,
  PARKED_WELL,
  PAYMENT,
  PAYMENT_REQUEST,
  POSTED,
  SEEN_CREATED,
  SEEN_ENDED,
  UNANSWERED,
} from './good-facts.ts'

describe('invariants of a run', () => {
  it('invariants of a run hold for a payment that was created, charged and settled', () => {
    expect(broken({})).to.deep.equal([])
  })

  it('invariants of a run hold for a parked payment with its dead letter', () => {
    expect(brokenBeside(PARKED_WELL)).to.deep.equal([])
  })

  it('invariants of a run hold for a stored payment whose client received no answer', () => {
    expect(brokenBeside({ paymentRequests: [{ ...PAYMENT_REQUEST, answers: [UNANSWERED], views: [] }] })).to.deep.equal(
      [],
    )
  })

  it('invariants of a run hold for a payment that was charged again after a failed attempt', () => {
    const requests = [POSTED, { ...POSTED, method: 'GET' }, POSTED]
    const charges = [CHARGE, { ...CHARGE, moved: false }]
    expect(broken({ payments: [{ ...PAYMENT, attempts: 1 }], requests, charges })).to.deep.equal([])
  })

  it('invariants of a run hold for a charge within the tolerance of the clocks', () => {
    expect(broken({ requests: [{ ...POSTED, beganAt: 6 }] })).to.deep.equal([])
  })

  it('invariants of a run hold for a message that was published while the observer was not bound', () => {
    expect(broken({ sightings: [SEEN_ENDED], unobserved: [AWAY] })).to.deep.equal([])
  })

  it('invariants of a run hold for a message that only a lost primary stored, and for its dead letter', () => {
    const sightings = [...GOOD.sightings, { ...SEEN_CREATED, paymentId: OTHER, messageId: 'c', place: 2, at: 50 }]
    const letters = [{ ...LETTER, key: OTHER, reason: 'no such payment' }]
    expect(broken({ sightings, letters, failovers: [{ from: 50, to: 50 }] })).to.deep.equal([])
  })

  it('invariants of a run hold for a later message that arrives first after RabbitMQ refused the earlier one', () => {
    const sightings = [
      { ...SEEN_ENDED, place: 0 },
      { ...SEEN_CREATED, place: 1, at: 40 },
    ]
    expect(broken({ sightings, refusals: [36] })).to.deep.equal([])
    expect(broken({ sightings, refusals: [10, 2_041] })).to.deep.equal([inOrder])
  })

  const inOrder = 'first deliveries of a payment are in the order of its events'
  const stored = 'a payment that was answered with its id is stored'
  const asked = 'a stored payment is one that a client requested'
  const ends = 'a payment ends, or is parked with a dead letter that says why'
  const oneEvent = 'a payment has its created event, and one event of its end if it has ended'
  const published = "an event's message has reached an observing queue"
  const provider = 'a charge has the key, the amount and the currency of its payment'
  const accounted = 'a payment has no more charges than attempts'
  const lastSaid = 'the final status of a payment is the last answer of the provider'
  const letter = 'a dead letter is about a parked payment, or about one that only a lost primary stored'
  const sighted = 'a message is about a payment that is stored'
  const outcome = 'an outcome that was published is the one that is stored'
  const elsewhere = [...GOOD.sightings, { ...SEEN_CREATED, paymentId: OTHER, at: 50 }]
  const something = 'the run has done something'
  const there = 'the provider is asked only about stored payments, and only after their creation'
  const unended = 'the provider is asked about no payment that has ended'
  const tried = 'no payment is tried more often than it may be'
  const cases: [title: string, rule: string, change: Partial<Facts>][] = [
    ['a payment that is not stored', stored, { payments: [], events: [], charges: [], sightings: [], responses: [] }],
    ['another amount in the row', asked, { payments: [{ ...PAYMENT, amountMinor: 101 }] }],
    [
      'a payment that no client requested',
      asked,
      { payments: [PAYMENT, { ...PAYMENT, id: OTHER, reference: 'else' }] },
    ],
    ['another reference in the row', stored, { payments: [{ ...PAYMENT, reference: 'else' }] }],
    ['another currency in the row', asked, { payments: [{ ...PAYMENT, currency: 'ETB' }] }],
    [
      'two payments of one reference',
      'a reference has one payment, and one id in all answers',
      { payments: [PAYMENT, { ...PAYMENT, id: OTHER }] },
    ],
    [
      'two ids in the answers',
      'a reference has one payment, and one id in all answers',
      {
        paymentRequests: [
          { ...PAYMENT_REQUEST, answers: [...PAYMENT_REQUEST.answers, { at: 14, status: 409, paymentId: OTHER }] },
        ],
      },
    ],
    ['a payment that stays PENDING', ends, { payments: [{ ...PARKED, parked: false }], events: [CREATED] }],
    ['a payment that is parked without a dead letter', ends, { ...PARKED_WELL, letters: [] }],
    ['a payment that is parked too early', ends, { ...PARKED_WELL, payments: [{ ...PARKED, attempts: 3 }] }],
    [
      'a parked payment whose dead letter is resolved',
      ends,
      { ...PARKED_WELL, letters: [{ ...LETTER, resolved: true }] },
    ],
    ['an end after too many attempts', tried, { payments: [{ ...PAYMENT, attempts: 10 }] }],
    ['a payment that is parked too late', tried, { ...PARKED_WELL, payments: [{ ...PARKED, attempts: 11 }] }],
    ['two ends', oneEvent, { events: [CREATED, ENDED, { ...ENDED, sequence: 3, type: 'payment.failed' }] }],
    ['an end that does not fit the status', oneEvent, { events: [CREATED, { ...ENDED, type: 'payment.failed' }] }],
    ['no created event', oneEvent, { events: [ENDED] }],
    [
      'an event without a payment',
      'an event has its payment',
      { events: [...GOOD.events, { ...CREATED, paymentId: OTHER }] },
    ],
    ['a created event that was never published', published, { sightings: [SEEN_ENDED] }],
    [
      'an unpublished event without a commit time',
      published,
      { events: [{ ...CREATED, committedAt: null }, ENDED], sightings: [SEEN_ENDED], unobserved: [AWAY] },
    ],
    ['an event without a commit time', COMMIT_TIMES_KNOWN, { events: [CREATED, { ...ENDED, committedAt: null }] }],
    ['an outcome that was never published', published, { sightings: [SEEN_CREATED] }],
    [
      'an event from before the observer was unbound',
      published,
      { sightings: [SEEN_ENDED], unobserved: [{ ...AWAY, from: 12 }] },
    ],
    [
      'an outcome that comes before the creation',
      inOrder,
      {
        sightings: [
          { ...SEEN_ENDED, place: 0 },
          { ...SEEN_CREATED, place: 1 },
        ],
      },
    ],
    [
      'two outcome messages',
      'an outcome is published once, under one message id',
      { sightings: [SEEN_CREATED, SEEN_ENDED, { ...SEEN_ENDED, messageId: 'c' }] },
    ],
    ['a message about a payment that is not stored', sighted, { sightings: elsewhere }],
    [
      'a message that was observed before its primary was lost',
      sighted,
      { sightings: [...elsewhere, { ...SEEN_CREATED, paymentId: OTHER, at: 55 }], failovers: [{ from: 51, to: 60 }] },
    ],
    [
      'a message that was first seen after a failover',
      sighted,
      { sightings: elsewhere, failovers: [{ from: 40, to: 49 }] },
    ],
    [
      'an outcome that is not the stored one',
      outcome,
      { sightings: [SEEN_CREATED, { ...SEEN_ENDED, topic: 'payment.failed' }] },
    ],
    ['an outcome of a parked payment', outcome, { ...PARKED_WELL, sightings: GOOD.sightings }],
    ['another key', provider, { charges: [{ ...CHARGE, key: OTHER }] }],
    ['another amount', provider, { charges: [{ ...CHARGE, amountMinor: 99 }] }],
    ['a charge of a payment that is not stored', there, { requests: [POSTED, { ...POSTED, key: OTHER }] }],
    ['a charge from before the creation', there, { requests: [{ ...POSTED, beganAt: 5 }] }],
    ['a lookup from before the creation', there, { requests: [{ ...POSTED, method: 'GET', beganAt: 5 }, POSTED] }],
    ['a charge after the end', unended, { requests: [{ ...POSTED, beganAt: 31 }] }],
    ['a lookup after the end', unended, { requests: [POSTED, { ...POSTED, method: 'GET', beganAt: 31 }] }],
    ['a second charge without a second attempt', accounted, { requests: [POSTED, POSTED] }],
    ['a final status that the provider did not answer', lastSaid, { responses: [{ key: ID, verdict: 'declined' }] }],
    [
      'a final status that is not the last answer of the provider',
      lastSaid,
      { responses: [...GOOD.responses, { key: ID, verdict: 'declined' }] },
    ],
    [
      'money that moves again',
      'money moves once for a key whose charge the provider reports',
      { payments: [{ ...PAYMENT, attempts: 1 }], charges: [CHARGE, CHARGE] },
    ],
    ['no client that was answered with 201', something, answered(UNANSWERED)],
    ['no payment that has ended', something, PARKED_WELL],
    [
      'rows that stay in the outbox',
      'no message and no unfinished payment is left',
      { backlog: { ...GOOD.backlog, outbox: 1 } },
    ],
    [
      'messages that stay in a queue',
      'no message and no unfinished payment is left',
      { backlog: { ...GOOD.backlog, queues: { 'payments.dead': 1 } } },
    ],
    ['a dead letter of a settled payment', letter, { letters: [LETTER] }],
    ['a dead letter of a payment that does not exist', letter, { letters: [{ ...LETTER, key: OTHER }] }],
    [
      'a dead letter of a payment that was lost',
      letter,
      { letters: [{ ...LETTER, key: OTHER, reason: 'no such payment' }] },
    ],
    [
      'a dead letter of a payment that was lost before any failover',
      letter,
      {
        letters: [{ ...LETTER, key: OTHER, reason: 'no such payment' }],
        sightings: elsewhere,
        failovers: [{ from: 51, to: 60 }],
      },
    ],
    [
      'a service that ends',
      'no service ends by itself, and each ends after SIGTERM',
      { exits: ['worker-1 ended by itself (code 1)'] },
    ],
    [
      'an instance that is idle',
      'each instance does its work alone at the end',
      { idle: ['worker-1 settles nothing'] },
    ],
    ['a fault that is not undone', 'every fault is undone', { faultsLeft: ['broker-kill'] }],
  ]
  for (const [title, rule, change] of cases) {
    it(`invariants of a run are broken by ${title}`, () => {
      expect(broken(change)).to.include(rule)
    })
  }
})
