import type { ConsumeMessage } from 'amqplib'
import { openChannel, TOPOLOGY } from '../queue/queue.ts'

/** The body of a message of `orderedMessages`. */
interface Placed {
  readonly payment_id: string
  readonly place: number
}

/** Checks the order of deliveries. A duplicate may come late, but no message before an earlier one of its key. */
export function createOrderCheck() {
  const nextPlaces = new Map<string, number>()
  let reordered = 0
  return {
    /** Takes the next delivery. A message without a place is not checked. */
    see({ payment_id: key, place }: Partial<Placed>): void {
      if (key === undefined || place === undefined) return
      const next = nextPlaces.get(key) ?? 0
      if (place > next) reordered += 1
      nextPlaces.set(key, Math.max(next, place + 1))
    },
    /** Number of messages that came before an earlier one of their key. */
    get reordered() {
      return reordered
    },
    /** Returns the number of keys whose last message has come. */
    complete: (perKey: number) => [...nextPlaces.values()].filter((next) => next === perKey).length,
  }
}

const PREFETCH = 1_000

/** Consumes the next `count` messages of the work queue, in their order. */
export async function takeMessages(url: string, count: number, see: (body: Partial<Placed>) => void): Promise<void> {
  const { connection, channel } = await openChannel(url)
  await channel.prefetch(PREFETCH)
  await new Promise<void>((resolve, reject) => {
    channel.once('close', () => reject(new Error('the channel is closed')))
    let taken = 0
    const take = (message: ConsumeMessage | null) => {
      if (!message) return reject(new Error('the queue is gone'))
      taken += 1
      see(JSON.parse(message.content.toString()))
      if (taken % (PREFETCH / 2) === 0 || taken === count) channel.ack(message, true)
      if (taken === count) resolve()
    }
    channel.consume(TOPOLOGY.queue, take).catch(reject)
  })
  await connection.close()
}
