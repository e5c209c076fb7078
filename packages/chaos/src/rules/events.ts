import type { Failover } from '../facts.ts'
import type { Feed } from '../followers.ts'
import { idOf } from '../payment-request.ts'
import { about } from './clients.ts'
import { eventIdOf, type IndexedFacts, merchantIdsOf, type Rule } from './rule.ts'

/** Rules about the events that merchants read. */
export const EVENT_RULES: readonly Rule[] = [
  {
    name: 'a follower is shown each event of its merchant, whenever it is killed',
    harm: 'other',
    *check(facts) {
      for (const { feed, events, merchantId } of feedsOf(facts)) {
        const shown = new Set(feed?.pages.filter(({ isStored }) => isStored).flatMap(({ ids }) => ids))
        for (const event of events)
          if (!shown.has(eventIdOf(event)))
            yield [event.paymentId, `its follower of merchant ${merchantId} was not shown ${eventIdOf(event)}`]
      }
    },
  },
  {
    name: 'at the end, the feed has each event of a merchant once',
    harm: 'other',
    *check(facts) {
      for (const { feed, events, merchantId } of feedsOf(facts)) {
        const counts = Map.groupBy(feed?.whole ?? [], (id) => id)
        if (!feed?.whole) yield `the feed of merchant ${merchantId} was not read to its end`
        else
          for (const event of events) {
            const count = counts.get(eventIdOf(event))?.length ?? 0
            if (count !== 1) yield [event.paymentId, `the feed has ${eventIdOf(event)} ${count} times`]
          }
      }
    },
  },
  {
    name: 'a feed shows stored events of its merchant',
    harm: 'other',
    *check({ feeds, storedEvents, failovers }) {
      for (const { merchantId, pages, whole = [] } of feeds) {
        const shown = [...pages, { at: Number.POSITIVE_INFINITY, ids: whole }]
        for (const { at, ids } of shown)
          for (const id of ids) {
            const owner = storedEvents.get(id)
            // It may have been shown before the primary that had it was lost.
            const isLost = owner === undefined && failovers.some(({ from, to }) => at >= from && at <= to)
            if (owner !== merchantId && !isLost)
              yield `${id} of ${owner ? `merchant ${owner}` : 'no payment'} was shown to merchant ${merchantId}`
          }
      }
    },
  },
  {
    name: 'a follower is shown an event again only after a failover, or if it had not stored the cursor',
    harm: 'other',
    *check({ feeds, failovers }) {
      for (const { pages } of feeds) {
        const storedAt = new Map<string, number>()
        for (const { at, ids, isStored } of pages)
          for (const id of ids) {
            const before = storedAt.get(id)
            if (before !== undefined && !failovers.some(({ from, to }) => to >= before && from <= at))
              yield `${id} was shown at ${new Date(before).toISOString()} and again at ${new Date(at).toISOString()}`
            if (isStored) storedAt.set(id, at)
          }
      }
    },
  },
  {
    name: 'a follower is first shown events in the order of the feed, and those of a payment in their order',
    harm: 'other',
    *check({ feeds, storedEvents, failovers }) {
      for (const feed of feeds) {
        const seen = firstSeen(feed, failovers).filter((id) => storedEvents.has(id))
        const places = new Map(feed.whole?.map((id, place) => [id, place]))
        yield* inversions(seen.map((id) => [id, places.get(id)]))
        for (const ids of Map.groupBy(seen, paymentOf).values())
          yield* inversions(ids.map((id) => [id, sequenceOf(id)]))
      }
    },
  },
  {
    name: 'the events of a payment are shown from the first one, and with its end after its end was shown',
    harm: 'other',
    *check({ paymentRequests, eventsOf }) {
      for (const request of paymentRequests) {
        const due = (eventsOf.get(idOf(request) ?? '') ?? []).map(eventIdOf)
        const ended = request.views.filter(({ payment }) => payment && payment.status !== 'PENDING')
        const endedAt = Math.min(...ended.map(({ answeredAt }) => answeredAt))
        for (const { at, status, ids } of request.histories) {
          if (status === 401 || status === 429) continue
          const isPrefix = ids.every((id, index) => id === due[index])
          const min = at > endedAt ? due.length : 1
          if (!isPrefix || ids.length < min)
            yield about(request, `was shown with [${ids.join(', ')}] of [${due.join(', ')}], status ${status}`)
        }
      }
    },
  },
]

/** The stored events of each merchant, with what it was shown. Empty when no API was asked at the end. */
function feedsOf({ apis, payments, feeds, events, byId }: IndexedFacts) {
  if (apis === 0) return []
  return merchantIdsOf({ payments }).map((merchantId) => ({
    merchantId,
    feed: feeds.find((feed) => feed.merchantId === merchantId),
    events: events.filter(({ paymentId }) => byId.get(paymentId)?.merchantId === merchantId),
  }))
}

/** The events in the order in which they were first shown, without those that a lost primary may have shown. */
function firstSeen({ pages }: Feed, failovers: readonly Failover[]): string[] {
  const seen = new Map<string, number>()
  for (const { at, ids } of pages) for (const id of ids) if (!seen.has(id)) seen.set(id, at)
  return [...seen].filter(([, at]) => !failovers.some(({ from, to }) => at >= from && at <= to)).map(([id]) => id)
}

function* inversions(events: readonly (readonly [id: string, place: number | undefined])[]) {
  let last = events[0]
  for (const [id, place] of events) {
    if (last?.[1] !== undefined && place !== undefined && place < last[1]) yield `${id} was shown after ${last[0]}`
    if (place !== undefined) last = [id, place]
  }
}

// An id is `evt_<payment id>_<sequence>`.
const paymentOf = (id: string) => id.split('_')[1]
const sequenceOf = (id: string) => Number(id.split('_')[2])
