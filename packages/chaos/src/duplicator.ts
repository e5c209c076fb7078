import { createConnection, createPublisher, type Topology } from '@cashflow/messaging'
import type { Sighting } from './observer.ts'
import { SILENT } from './silent.ts'

/** Publishes what was published before, as a relay does whose confirms are lost. */
export interface Duplicator {
  /** Best effort: a broker that is away gets none. Resolves with how many it has confirmed. */
  publish(messages: readonly Sighting[], copies: number): Promise<number>
  stop(): Promise<void>
}

const EXCHANGE: Topology = {
  exchange: 'payments',
  queue: '',
  deadLetterQueue: '',
  exchanges: [{ name: 'payments', type: 'topic' }],
  queues: [],
}
const READY_MS = 10_000
const CONFIRMED_MS = 10_000

export async function createDuplicator(urls: readonly string[]): Promise<Duplicator> {
  const connection = createConnection({ urls, name: 'chaos-duplicator', logger: SILENT })
  const publisher = createPublisher({ connection, topology: EXCHANGE, logger: SILENT })
  await connection.start()
  await publisher.start()
  return {
    async publish(messages, copies) {
      await publisher.whenReady(AbortSignal.timeout(READY_MS)).catch(() => {})
      const outgoing = messages.map(({ messageId, topic, paymentId }) => ({
        ...{ messageId, key: paymentId, topic, headers: {}, mandatory: false, createdAt: new Date() },
        body: JSON.stringify({ payment_id: paymentId }),
      }))
      const storm = Array.from({ length: copies }, () => outgoing).flat()
      const outcomes = await publisher.publish(storm, { deadlineMs: CONFIRMED_MS })
      return outcomes.filter(({ status }) => status === 'confirmed').length
    },
    async stop() {
      await publisher.stop()
      await connection.stop()
    },
  }
}
