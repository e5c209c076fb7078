import { join } from 'node:path'
import type { Benchmark, Context, Figure } from '../benchmark.ts'
import { newPayments } from '../client.ts'
import { type Contender, TEXTBOOK } from '../contender.ts'
import { closedLoop, type LoadMeasured } from '../load.ts'
import { startProcess } from '../process.ts'
import { alternate, compare } from '../rounds.ts'
import { onSystem } from '../system.ts'

const CONNECTIONS = 32
const TIMES: readonly Figure<'p50Ms' | 'p99Ms'>[] = [
  { metric: 'p50Ms', what: 'p50', unit: 'ms' },
  { metric: 'p99Ms', what: 'p99', unit: 'ms' },
]

export const post: Benchmark = {
  name: 'post',
  title: `POST /payments on ${CONNECTIONS} connections, one process of each API`,
  async run(context) {
    const rounds = await alternate(
      {
        product: () => measureApi(context.product, context),
        empty: () => measureAlone('empty', context),
        'bare express': () => measureAlone('bare-express', context),
        textbook: () => measureApi(TEXTBOOK, context),
      },
      context,
    )
    const ratios = [
      ['product', 'empty'],
      ['product', 'textbook'],
      ['empty', 'bare express'],
    ] as const
    return [
      ...compare(rounds, { metric: 'rate', what: 'answers', unit: '/s', ratios }),
      ...TIMES.flatMap((figure) => compare(rounds, { ...figure, ratios })),
    ]
  },
  alone: { items: 'answers', more: TIMES, measure: (context) => measureApi(context.product, context) },
}

function measureApi(contender: Contender, context: Context): Promise<LoadMeasured> {
  return onSystem(context.servers, contender, ['api'], ({ url }) => measure(url, context))
}

/** Measures a server without a database. */
async function measureAlone(name: 'empty' | 'bare-express', context: Context): Promise<LoadMeasured> {
  const file = join(import.meta.dirname, `${name}-main.ts`)
  const place = { databaseUrl: 'postgres://127.0.0.1:1/none', brokerUrl: 'amqp://127.0.0.1:1' }
  const server = await startProcess({ name, file, place, dir: context.servers.dir })
  try {
    return await measure(server.url, context)
  } finally {
    await server.stop()
  }
}

function measure(url: string, { quick, signal }: Context): Promise<LoadMeasured> {
  // V8 compiles on the other core for more than three seconds. During that time an API answers a third less.
  const times = quick ? { warmUpMs: 200, durationMs: 500 } : { warmUpMs: 10_000, durationMs: 10_000 }
  return closedLoop({ ...times, url, connections: CONNECTIONS, next: newPayments(), signal })
}
