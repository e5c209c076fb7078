import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { defined } from '@cashflow/async'
import { type RabbitmqServer, startRabbitmq } from '@cashflow/dev-stack'
import { eventually } from '@cashflow/testing'
import { expect } from 'chai'
import { ask } from '../src/channel.ts'
import type { AckDecision, ConfirmPublisher, Delivery } from '../src/index.ts'
import { cleanUp, createRig, depth, message, onChannel, type Rig } from './rig.ts'

const SOON = { deadlineMs: 60_000 }
const SUBSCRIBES_AGAIN = 'RabbitMQ delivers nothing although the queue has messages, subscribing again'
const watchTimes = { quietMs: 400, quietMaxMs: 2_000, secondLookMs: 200, lookDeadlineMs: 30_000 }

/** A handler that acknowledges each delivery. */
const noteIn =
  (handled: (string | undefined)[]) =>
  async ({ messageId }: Delivery): Promise<AckDecision> => {
    handled.push(messageId)
    return 'ack'
  }

describe('consumer that RabbitMQ has forgotten', function () {
  this.timeout(180_000)
  let dir: string
  let broker: RabbitmqServer
  let rig: Rig
  let publisher: ConfirmPublisher
  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'cashflow-forgotten-'))
    broker = await startRabbitmq({ dir })
  })
  beforeEach(() => {
    rig = createRig([broker.url])
    publisher = rig.publisher()
  })
  afterEach(async () => {
    await cleanUp()
    await remove('payments', 'payments.dead')
  })
  after(async () => {
    await broker?.stop()
    await rm(dir, { recursive: true, force: true })
  })

  const remove = (...queues: string[]) =>
    onChannel(broker.url, async (channel) => {
      for (const queue of queues) await ask((done) => channel.deleteQueue(queue, {}, done))
    })

  /** Removes the consumers from the queue. Their channels receive no basic.cancel. */
  async function forget(queue = 'payments'): Promise<void> {
    const forgotten = await broker.ctl(
      'eval',
      `{ok, Q} = rabbit_amqqueue:lookup(rabbit_misc:r(<<"/">>, queue, <<"${queue}">>)),
       [ra:process_command(amqqueue:get_pid(Q), rabbit_fifo:make_checkout({element(2, C), element(1, C)}, cancel, #{}))
        || C <- rabbit_amqqueue:consumers(Q)].`,
    )
    expect(forgotten).to.include('ok')
  }

  const publish = async (...ids: string[]) => {
    const outcomes = await publisher.publish(
      ids.map((messageId) => message({ messageId })),
      SOON,
    )
    expect(outcomes.every(({ status }) => status === 'confirmed')).to.equal(true)
  }
  const consuming = () =>
    eventually(async () =>
      expect(
        await onChannel(broker.url, (channel) =>
          ask<{ consumerCount: number }>((done) => channel.checkQueue('payments', done)),
        ),
      ).to.include({ consumerCount: 1 }),
    )

  // Promise 47
  it('subscribes again, and receives the ready messages', async () => {
    const handled: (string | undefined)[] = []
    const consumer = rig.consumer(noteIn(handled), { watchTimes })
    await publish('before')
    await eventually(() => expect(handled).to.deep.equal(['before']))
    await forget()
    await publish('after')
    await eventually(() => expect(handled).to.deep.equal(['before', 'after']))
    expect(consumer.resubscriptions).to.equal(1)
    expect(Array.from(consumer.loops, ({ name }) => name)).to.deep.equal(['consumer watch'])
    const [line] = rig.logger.logged(SUBSCRIBES_AGAIN)
    expect(line).to.deep.include({ level: 'error' })
    expect(line?.fields).to.include({ queue: 'payments', ready_messages: 1, attempts: 1 })
    expect(line?.fields.idle_ms).to.be.at.least(600)
    expect(rig.logger.logged('lost the connection to RabbitMQ')).to.deep.equal([])
    await eventually(async () => expect(await depth(broker.url, 'payments')).to.equal(0))
  })

  // Promise 47
  it('consumer: does not subscribe again while its watch is paused, and does when the pause has ended', async () => {
    const handled: (string | undefined)[] = []
    let isPaused = true
    const consumer = rig.consumer(noteIn(handled), { watchTimes, isWatchPaused: () => isPaused })
    await consuming()
    await forget()
    await publish('after')
    const [loop] = consumer.loops
    const turns = defined(loop, 'loop of the watch').turns
    await eventually(() => expect(loop?.turns).to.be.above(turns + 4))
    expect(rig.logger.logged(SUBSCRIBES_AGAIN)).to.deep.equal([])
    isPaused = false
    await eventually(() => expect(handled).to.deep.equal(['after']))
    expect(consumer.resubscriptions).to.equal(1)
  })

  // Promise 47
  it('declares its queue again when the queue is missing too', async () => {
    const handled: (string | undefined)[] = []
    rig.consumer(noteIn(handled), { watchTimes })
    await consuming()
    await forget()
    await remove('payments')
    await eventually(() => expect(rig.logger.logged(SUBSCRIBES_AGAIN)[0]?.fields.ready_messages).to.equal('missing'))
    await consuming()
    await publish('after')
    await eventually(() => expect(handled).to.deep.equal(['after']))
  })

  // Promise 47
  it('subscribes again to the dead letter queue', async () => {
    const dead: (string | undefined)[] = []
    rig.consumer(noteIn(dead), { from: 'payments.dead', watchTimes })
    await publish('rejected')
    await forget('payments.dead')
    rig.consumer(async () => 'reject')
    await eventually(() => expect(dead).to.deep.equal(['rejected']))
  })

  // Promise 23
  it('settles running deliveries on its old channel, and handles at most its prefetch over both channels', async () => {
    const open: (() => void)[] = []
    const handled: (string | undefined)[] = []
    const signals: AbortSignal[] = []
    let most = 0
    rig.consumer(
      ({ messageId, signal }) =>
        new Promise<AckDecision>((resolve) => {
          handled.push(messageId)
          signals.push(signal)
          open.push(() => resolve('ack'))
          most = Math.max(most, open.length)
        }),
      { prefetch: 3, watchTimes },
    )
    await publish('a', 'b')
    await eventually(() => expect(handled).to.have.members(['a', 'b']))
    await forget()
    await publish('c', 'd', 'e', 'f', 'g')
    await eventually(() => expect(handled).to.have.length(3))
    // On the new channel the broker delivers three, and two of them wait for a slot of the prefetch.
    await eventually(async () => expect(await depth(broker.url, 'payments')).to.equal(2))
    expect(open, 'running handlers').to.have.length(3)
    while (handled.length < 7 || open.length > 0) {
      await eventually(() => expect(open).to.not.deep.equal([]))
      open.shift()?.()
      await new Promise(setImmediate)
    }
    expect(most).to.equal(3)
    expect(handled).to.deep.equal(['a', 'b', 'c', 'd', 'e', 'f', 'g'])
    // After the loss of a channel, a delivery would come a second time, and its signal would be aborted.
    expect(rig.logger.logged('lost a RabbitMQ channel')).to.deep.equal([])
    await rig.stop()
    expect(await depth(broker.url, 'payments')).to.equal(0)
  })

  it('finishes the running deliveries of both channels when it is stopped', async () => {
    const open: (() => void)[] = []
    const consumer = rig.consumer(() => new Promise<AckDecision>((resolve) => open.push(() => resolve('ack'))), {
      watchTimes,
    })
    await publish('old')
    await eventually(() => expect(open).to.have.length(1))
    await forget()
    await publish('new')
    await eventually(() => expect(open).to.have.length(2))
    const stopped = consumer.stop()
    for (const finish of open) finish()
    await stopped
    expect(await depth(broker.url, 'payments')).to.equal(0)
  })

  // Promise 47
  it('detects that RabbitMQ has forgotten a consumer after its queue is deleted and declared again under load', async () => {
    const handled = new Set<string | undefined>()
    rig.consumer(
      async ({ messageId }) => {
        handled.add(messageId)
        return 'ack'
      },
      { watchTimes },
    )
    await consuming()
    // In most rounds RabbitMQ 3.10 sends no basic.cancel. In the others, the test still shows that all messages arrive.
    for (let round = 1; round <= 5 && rig.logger.logged(SUBSCRIBES_AGAIN).length === 0; round++) {
      await deleteUnderLoad(round)
      // More messages than the prefetch: RabbitMQ 3.10 may also count deliveries that its own channel has dropped.
      const ids = Array.from({ length: 30 }, (_, at) => `after round ${round}: ${at}`)
      for (const id of ids) await publishUntilTaken(id)
      await eventually(() => expect([...handled]).to.include.members(ids))
    }
    await eventually(async () => expect(await depth(broker.url, 'payments')).to.equal(0))
  })

  /** Deletes the queue three times. Two publishers fill it, and declare it again when a message is returned. */
  async function deleteUnderLoad(round: number): Promise<void> {
    let done = false
    const publishers = [createRig([broker.url]), createRig([broker.url])].map(async (load, index) => {
      const filling = load.publisher()
      for (let sent = 0; !done; sent++) {
        const batch = Array.from({ length: 50 }, (_, at) => message({ messageId: `${round} ${index} ${sent} ${at}` }))
        const outcomes = await filling.publish(batch, { deadlineMs: 2_000 })
        if (outcomes.some(({ status }) => status === 'returned')) await filling.redeclare()
      }
      await load.stop()
    })
    for (let deletion = 0; deletion < 3; deletion++) {
      await new Promise((resolve) => setTimeout(resolve, 400))
      await remove('payments')
    }
    done = true
    await Promise.all(publishers)
  }

  async function publishUntilTaken(messageId: string): Promise<void> {
    await eventually(async () => {
      const [outcome] = await publisher.publish([message({ messageId })], { deadlineMs: 5_000 })
      if (outcome?.status === 'returned') await publisher.redeclare()
      expect(outcome?.status).to.equal('confirmed')
    })
  }
})
