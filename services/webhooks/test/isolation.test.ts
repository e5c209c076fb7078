import { eventually } from '@cashflow/testing'
import { expect } from 'chai'
import { type Answer, type Receiver, startReceiver } from './receiver.ts'
import { created, type Rig, startRig } from './rig.ts'

const [CHUNK, CHUNKS] = [Buffer.alloc(65_536), 16_384] // A gigabyte together.
const BAD: Record<string, Answer> = {
  'never answer': () => undefined,
  'answer a byte at a time': (_, res) => {
    res.writeHead(200).write('.')
    const timer = setInterval(() => res.write('.'), 1_000)
    res.once('close', () => clearInterval(timer))
    return undefined
  },
  'answer a gigabyte': (_, res) => {
    let left = CHUNKS
    const write = () => {
      while (left > 0 && !res.destroyed) {
        left -= 1
        if (!res.write(CHUNK)) return
      }
      res.end()
    }
    res.writeHead(200).on('drain', write)
    write()
    return undefined
  },
}

describe('webhooks next to endpoints that mean harm', () => {
  let rig: Rig
  const receivers: Receiver[] = []

  beforeEach(async () => {
    rig = await startRig()
  })

  afterEach(async () => {
    await rig.stop()
    for (const receiver of receivers.splice(0)) await receiver.stop()
  })

  async function newReceiver(): Promise<Receiver> {
    const receiver = await startReceiver()
    receivers.push(receiver)
    return receiver
  }

  // Promise 123
  for (const [what, answer] of Object.entries(BAD))
    it(`webhooks: endpoints that were healthy and now ${what} delay no other`, async () => {
      const [bad, good] = [await newReceiver(), await newReceiver()]
      const merchants = [await rig.merchant(), await rig.merchant()] as const
      for (let count = 0; count < 6; count++)
        await rig.endpoint(`${bad.url}/${count}`, { merchantId: merchants[0], ordering: 'none' })
      await rig.endpoint(good.url, { merchantId: merchants[1] })
      await rig.start({ attemptsMax: 16, deadlineMs: 15_000 })
      for (const merchant of merchants) await rig.pay(merchant)
      rig.wake()
      await eventually(() => expect([bad, good].map(({ received }) => received.length)).to.deep.equal([6, 1]))
      await rig.delivered()
      bad.answerWith(answer)
      for (let count = 0; count < 20; count++) await rig.pay(merchants[0])
      rig.wake()
      await eventually(() => expect(bad.received).to.have.length.above(6))
      const latencies: number[] = []
      for (let count = 0; count < 15; count++) {
        const startedAt = performance.now()
        const payment = await rig.pay(merchants[1])
        rig.wake()
        await eventually(() => expect(good.ids()).to.include(created(payment)), { intervalMs: 5 })
        latencies.push(performance.now() - startedAt)
      }
      // Less than one attempt at a bad endpoint lasts, also on a busy machine. The benchmark `webhooks` measures the time.
      expect(Math.max(...latencies)).to.be.below(10_000)
    })
})
