import { createPlace, type Place } from '../place.ts'
import { createdMessages } from '../queue/messages.ts'
import { openPublisher } from '../queue/publisher.ts'
import type { Servers } from '../servers.ts'

export interface Preparation {
  readonly template: string
  /** Declares the queue at this broker. */
  readonly declare: (brokerUrl: string) => Promise<void>
  /** Stores payments of these ids. */
  readonly store: (place: Place, ids: readonly string[]) => Promise<unknown>
}

/** Stores payments, and publishes the messages that point at them. */
export async function preparePlace(
  servers: Servers,
  count: number,
  signal: AbortSignal,
  { template, declare, store }: Preparation,
): Promise<Place> {
  await using unfinished = new AsyncDisposableStack()
  const place = unfinished.adopt(await createPlace(servers, template), ({ drop }) => drop())
  await declare(place.brokerUrl)
  await using published = new AsyncDisposableStack()
  const { publish } = published.adopt(await openPublisher(place.brokerUrl), ({ close }) => close())
  for (const messages of createdMessages(count)) {
    signal.throwIfAborted()
    await store(
      place,
      messages.map(({ key }) => key),
    )
    await publish(messages)
  }
  // As autovacuum leaves it sooner or later: else whoever reads first also tidies up.
  await place.query('vacuum analyze')
  unfinished.move()
  return place
}
