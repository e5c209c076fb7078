import type { Benchmark, Context } from '../benchmark.ts'
import type { Relay } from '../drain/drain.ts'
import { drain } from '../drain/drain.ts'
import { barePublisher, peerRelay } from '../drain/other-relays.ts'
import { productRelay, textbookRelay } from '../drain/own-relays.ts'
import { graphileWorker } from '../peers/graphile-worker.ts'
import { pgBoss } from '../peers/pg-boss.ts'
import { pgTransactionalOutbox } from '../peers/pg-transactional-outbox.ts'
import { createdMessages } from '../queue/messages.ts'
import { alternate, compare } from '../rounds.ts'

const COUNT = 200_000
const LIMIT_MS = 20_000

export const relay: Benchmark = {
  name: 'relay',
  title: `draining ${COUNT.toLocaleString('en-US')} messages, with one process of each relay, for at most ${LIMIT_MS / 1_000} s`,
  async run(context) {
    const { warmUp, count } = sizes(context)
    const measure = (which: Relay, size?: number) => () => measureRelay(context, which, size)
    const rounds = await alternate(
      {
        product: measure(productRelay(context.product)),
        'bare confirm publisher': measure(barePublisher([warmUp, count])),
        textbook: measure(textbookRelay),
        // Its warm-up alone takes seconds.
        'pg-transactional-outbox': measure(peerRelay(pgTransactionalOutbox), warmUp / 10),
        'pg-boss': measure(peerRelay(pgBoss)),
        'graphile-worker': measure(peerRelay(graphileWorker)),
      },
      context,
    )
    const ratios = [
      ['product', 'bare confirm publisher'],
      ['product', 'textbook'],
      ['product', 'pg-transactional-outbox'],
      ['product', 'pg-boss'],
      ['product', 'graphile-worker'],
    ] as const
    return compare(rounds, { metric: 'rate', what: 'messages', unit: '/s', ratios })
  },
  alone: { items: 'messages', measure: (context) => measureRelay(context, productRelay(context.product)) },
}

function sizes({ quick }: Context) {
  return quick ? { warmUp: 100, count: 300, limitMs: 2_000 } : { warmUp: 20_000, count: COUNT, limitMs: LIMIT_MS }
}

function measureRelay(context: Context, which: Relay, warmUp = sizes(context).warmUp) {
  const { count, limitMs } = sizes(context)
  return drain(context, which, { warmUp, messages: createdMessages(count), count, limitMs })
}
