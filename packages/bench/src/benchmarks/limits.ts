import type { Benchmark, Context } from '../benchmark.ts'
import { drain } from '../drain/drain.ts'
import { barePublisher } from '../drain/other-relays.ts'
import { findPgbench, runPgbench } from '../limits/pgbench.ts'
import { createPlace } from '../place.ts'
import { alternate, compare } from '../rounds.ts'
import { work } from '../workers/work.ts'
import { bareConsumer } from '../workers/workers.ts'

const COUNT = 200_000

const pgbench = findPgbench()

export const limits: Benchmark = {
  name: 'limits',
  title: `what the servers give to whoever does nothing else${pgbench ? '' : ' (pgbench is not installed, and left out)'}`,
  async run(context) {
    const [count, warmUp] = context.quick ? [1_000, 100] : [COUNT, 20_000]
    const variants: Record<string, () => Promise<{ rate: number }>> = {
      'confirm publisher': () => drain(context, barePublisher([warmUp, count]), { warmUp, messages: [], count }),
      'consume and ack': () => work(context, bareConsumer, { count }),
      ...(pgbench && { 'pgbench: inserts of one payment': () => measurePgbench(context, pgbench) }),
    }
    return compare(await alternate(variants, context), { metric: 'rate', what: 'done', unit: '/s' })
  },
}

async function measurePgbench({ servers, product, quick }: Context, program: string): Promise<{ rate: number }> {
  const place = await createPlace(servers, product.template)
  try {
    return { rate: await runPgbench(program, place.databaseUrl, quick ? { paymentsPerSession: 5 } : { seconds: 20 }) }
  } finally {
    await place.drop()
  }
}
