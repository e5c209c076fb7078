import type { Benchmark } from '../benchmark.ts'
import { backlog } from './backlog.ts'
import { latency } from './latency.ts'
import { pipeline } from './pipeline.ts'
import { post } from './post.ts'
import { postAuth } from './post-auth.ts'
import { relay } from './relay.ts'
import { soak } from './soak.ts'
import { stored } from './stored.ts'
import { traces } from './traces.ts'
import { webhooks } from './webhooks.ts'
import { worker } from './worker.ts'

/** In the order in which they run. */
export const BENCHMARKS: readonly Benchmark[] = [
  post,
  postAuth,
  relay,
  backlog,
  worker,
  pipeline,
  traces,
  latency,
  webhooks,
  stored,
  soak,
]
