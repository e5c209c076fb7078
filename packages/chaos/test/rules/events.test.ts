import { expect } from 'chai'
import type { Facts } from '../../src/facts.ts'
import type { Feed, FeedPage } from '../../src/followers.ts'
import type { History } from '../../src/payment-request.ts'
import { broken, brokenBeside, FEED, GOOD, ID, OTHER, PAYMENT, PAYMENT_REQUEST, SEEN_1, SEEN_2 } from '../good-facts.ts'

const [FIRST, SECOND] = FEED.pages as [FeedPage, FeedPage]
const fed = (change: Partial<Feed>): Partial<Facts> => ({ feeds: [{ ...FEED, ...change }] })
const followed = (...pages: FeedPage[]) => fed({ pages })
const history = (change: Partial<History>): Partial<Facts> => ({
  paymentRequests: [{ ...PAYMENT_REQUEST, histories: [{ at: 50, status: 200, ids: [SEEN_1, SEEN_2], ...change }] }],
})

describe('invariants about events', () => {
  const each = 'a follower is shown each event of its merchant, whenever it is killed'
  const once = 'at the end, the feed has each event of a merchant once'
  const own = 'a feed shows stored events of its merchant'
  const again = 'a follower is shown an event again only after a failover, or if it had not stored the cursor'
  const ordered = 'a follower is first shown events in the order of the feed, and those of a payment in their order'
  const ofPayment = 'the events of a payment are shown from the first one, and with its end after its end was shown'

  it('invariants about events hold for a page that comes again because its follower was killed', () => {
    expect(broken(followed({ ...FIRST, isStored: false }, { ...FIRST, isStored: false }, FIRST, SECOND))).to.eql([])
  })

  it('invariants about events hold for pages that come again after a failover', () => {
    const pages = [FIRST, SECOND, { ...FIRST, at: 70 }, { ...SECOND, at: 71 }]
    expect(broken({ ...followed(...pages), failovers: [{ from: 40, to: 60 }] })).to.eql([])
  })

  it('invariants about events hold for an event that only a lost primary stored', () => {
    const page = { at: 50, ids: [`evt_${OTHER}_1`], isStored: true }
    expect(broken({ ...followed(FIRST, SECOND, page), failovers: [{ from: 40, to: 60 }] })).to.eql([])
  })

  it('invariants about events hold for a payment that was not known to have ended', () => {
    expect(broken(history({ at: 39, ids: [SEEN_1] }))).to.eql([])
    expect(broken(history({ status: 401, ids: [] }))).to.eql([])
  })

  it('invariants about events are broken by payments that were followed in another order than that of the feed', () => {
    const [one, other] = [SEEN_1, `evt_${OTHER}_1`]
    const swapped = [{ at: 10, ids: [other, one], isStored: true }, SECOND]
    const whole = [SEEN_1, SEEN_2, other, `evt_${OTHER}_2`]
    const feeds = [{ ...FEED, pages: swapped, whole }]
    const another = { ...PAYMENT, id: OTHER, reference: 'another' }
    expect(broken({ feeds, payments: [another, PAYMENT] })).not.to.include(ordered)
    const events = [...GOOD.events, ...GOOD.events.map((event) => ({ ...event, paymentId: OTHER }))]
    expect(broken({ feeds, payments: [another, PAYMENT], events })).to.include(ordered)
  })

  const foreign: Partial<Facts> = {
    payments: [PAYMENT, { ...PAYMENT, id: OTHER, merchantId: 'another' }],
    events: [...GOOD.events, ...GOOD.events.map((event) => ({ ...event, paymentId: OTHER }))],
  }
  const cases: [title: string, rule: string, change: Partial<Facts>][] = [
    ['an event that its follower was not shown', each, followed(FIRST)],
    ['an event that only a killed follower was shown', each, followed(FIRST, { ...SECOND, isStored: false })],
    ['a merchant without a follower', each, { feeds: [] }],
    ['an event that the feed skips at the end', once, fed({ whole: [SEEN_1] })],
    ['an event that the feed repeats at the end', once, fed({ whole: [SEEN_1, SEEN_2, SEEN_2] })],
    ['a feed that was not read at the end', once, fed({ whole: undefined })],
    [
      'an event of another merchant',
      own,
      { ...foreign, ...followed(FIRST, { ...SECOND, ids: [SEEN_2, `evt_${OTHER}_1`] }) },
    ],
    [
      'an event of another merchant at the end',
      own,
      { ...foreign, ...fed({ whole: [SEEN_1, SEEN_2, `evt_${OTHER}_1`] }) },
    ],
    ['an event that is not stored', own, followed(FIRST, SECOND, { at: 50, ids: [`evt_${ID}_3`], isStored: true })],
    ['an event that comes again', again, followed(FIRST, SECOND, { ...SECOND, at: 50 })],
    [
      'an event that comes again before a failover',
      again,
      { ...followed(FIRST, SECOND, { ...SECOND, at: 50 }), failovers: [{ from: 60, to: 70 }] },
    ],
    [
      'an event that comes again, first shown after a failover',
      again,
      { ...followed(FIRST, SECOND, { ...SECOND, at: 50 }), failovers: [{ from: 20, to: 30 }] },
    ],
    [
      'the end of a payment before its creation',
      ordered,
      fed({ pages: [{ ...SECOND, at: 10 }, FIRST], whole: [SEEN_2, SEEN_1] }),
    ],
    ['an undocumented answer to a follower', 'every answer is a documented one', fed({ failures: [400] })],
    ['a payment without events', ofPayment, history({ at: 39, ids: [] })],
    ['a payment without its first event', ofPayment, history({ ids: [SEEN_2] })],
    ['a payment without the end that was shown', ofPayment, history({ ids: [SEEN_1] })],
    ['a payment whose events are not found', ofPayment, history({ status: 404, ids: [] })],
    ['an event of another payment', ofPayment, history({ ids: [SEEN_1, `evt_${OTHER}_2`] })],
  ]
  for (const [title, rule, change] of cases) {
    it(`invariants about events are broken by ${title}`, () => {
      expect(broken(change)).to.include(rule)
    })
  }

  it('invariants about events hold for two payments that a follower was shown in the order of the feed', () => {
    expect(brokenBeside({})).to.eql([])
  })
})
