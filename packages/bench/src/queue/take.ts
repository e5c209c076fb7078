import type { ConsumeMessage } from 'amqplib'
import { heard, openConnection } from './connection.ts'
import { TOPOLOGY } from './queue.ts'

const PREFETCH = 1_000

/** Takes the next `count` messages out of the work queue, in the order in which they came. */
export async function takeMessages<Body>(url: string, count: number, see: (body: Body) => void): Promise<void> {
  const connection = await openConnection(url)
  const channel = heard(await connection.createChannel())
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
