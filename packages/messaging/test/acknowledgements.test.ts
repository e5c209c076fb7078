import { once } from 'node:events'
import { defined } from '@cashflow/async'
import { createTestVhost, eventually, type TestVhost } from '@cashflow/testing'
import type { Channel, ConsumeMessage } from 'amqplib/callback_api'
import { expect } from 'chai'
import { createAcknowledgements } from '../src/acknowledgements.ts'
import { ask } from '../src/channel.ts'
import { depth, onChannel } from './rig.ts'

const QUEUE = 'acknowledged'

describe('createAcknowledgements', () => {
  let vhost: TestVhost
  beforeEach(async () => {
    vhost = await createTestVhost()
  })
  afterEach(() => vhost.drop())

  /** Receives five deliveries and records what is sent: `3+` acknowledges all up to the third. Closes the channel at the end. */
  async function withFive(work: (context: Five) => Promise<void>): Promise<void> {
    await onChannel(vhost.url, async (channel) => {
      await ask((done) => channel.assertQueue(QUEUE, { durable: true, arguments: { 'x-queue-type': 'quorum' } }, done))
      for (let i = 1; i <= 5; i++) channel.sendToQueue(QUEUE, Buffer.from(String(i)))
      const sent: string[] = []
      const failures: unknown[] = []
      const acknowledgements = createAcknowledgements(recording(channel, sent), (error) => failures.push(error))
      const messages: ConsumeMessage[] = []
      const take = (message: ConsumeMessage | null) => {
        if (!message) return
        acknowledgements.track(message)
        messages.push(message)
      }
      await ask((done) => channel.consume(QUEUE, take, {}, done))
      await eventually(() => expect(messages).to.have.length(5))
      const ack = (...places: number[]) => {
        for (const place of places) acknowledgements.ack(defined(messages[place - 1], 'message'))
      }
      const reject = (place: number) => acknowledgements.reject(defined(messages[place - 1], 'message'))
      const requeue = (place: number) => acknowledgements.requeue(defined(messages[place - 1], 'message'))
      // The channel is closed before its connection: the end of the connection would discard what the channel has to send.
      const closed = once(channel, 'close')
      let isOpen = true
      const close = () => {
        if (isOpen) channel.close()
        isOpen = false
      }
      await work({ ack, reject, requeue, flush: acknowledgements.flush, close, sent, failures })
      close()
      await closed
    })
  }

  it('sends one acknowledgement for all deliveries settled in a turn of the event loop, in any order', async () => {
    await withFive(async ({ ack, sent }) => {
      ack(2, 1)
      await Promise.resolve()
      ack(3, 4)
      await new Promise(setImmediate)
      expect(sent).to.deep.equal(['4+'])
    })
    await eventually(async () => expect(await depth(vhost.url, QUEUE)).to.equal(1))
  })

  it('acknowledges no delivery that is still being handled', async () => {
    await withFive(async ({ ack, sent }) => {
      ack(1, 3, 5)
      await new Promise(setImmediate)
      expect(sent).to.deep.equal(['1+', '3', '5'])
      ack(2)
      await new Promise(setImmediate)
      expect(sent.slice(3)).to.deep.equal(['2+'])
    })
    await eventually(async () => expect(await depth(vhost.url, QUEUE)).to.equal(1))
  })

  it('counts a rejected delivery as settled', async () => {
    await withFive(async ({ ack, reject, sent }) => {
      reject(2)
      ack(1, 3)
      await new Promise(setImmediate)
      expect(sent).to.deep.equal(['2-', '3+'])
    })
    await eventually(async () => expect(await depth(vhost.url, QUEUE)).to.equal(2))
  })

  it('counts a delivery that returns to its queue as settled', async () => {
    await withFive(async ({ ack, requeue, sent }) => {
      requeue(2)
      ack(1, 3)
      await eventually(() => expect(sent).to.deep.equal(['2?', '3+']))
    })
    await eventually(async () => expect(await depth(vhost.url, QUEUE)).to.equal(3))
  })

  it('sends due acknowledgements before the channel is closed', async () => {
    await withFive(async ({ ack, flush, close, sent }) => {
      ack(1, 2)
      flush()
      close()
      await new Promise(setImmediate)
      expect(sent).to.deep.equal(['2+'])
    })
    await eventually(async () => expect(await depth(vhost.url, QUEUE)).to.equal(3))
  })

  it('reports a channel that is closed', async () => {
    await withFive(async ({ ack, close, failures }) => {
      close()
      ack(1)
      await new Promise(setImmediate)
      expect(failures.map(String)).to.deep.equal(['IllegalOperationError: Channel closing'])
    })
  })
})

interface Five {
  ack(...places: number[]): void
  reject(place: number): void
  requeue(place: number): void
  flush(): void
  close(): void
  readonly sent: readonly string[]
  readonly failures: readonly unknown[]
}

function recording(channel: Channel, sent: string[]): Pick<Channel, 'ack' | 'nack' | 'reject'> {
  return {
    ack(message, allUpTo) {
      sent.push(`${message.content}${allUpTo ? '+' : ''}`)
      channel.ack(message, allUpTo)
    },
    nack(message, allUpTo, requeue) {
      sent.push(`${message.content}?`)
      channel.nack(message, allUpTo, requeue)
    },
    reject(message, requeue) {
      sent.push(`${message.content}-`)
      channel.reject(message, requeue)
    },
  }
}
