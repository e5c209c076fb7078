import type { Benchmark } from '../benchmark.ts'
import { cost } from './cost.ts'
import { latency } from './latency.ts'
import { pipeline } from './pipeline.ts'
import { post } from './post.ts'
import { soak } from './soak.ts'
import { stored } from './stored.ts'

/** In the order in which they run. */
export const BENCHMARKS: readonly Benchmark[] = [post, pipeline, latency, cost, stored, soak]
