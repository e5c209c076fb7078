import type { Benchmark } from '../benchmark.ts'
import { post } from './post.ts'

/** In the order in which they run. */
export const BENCHMARKS: readonly Benchmark[] = [post]
