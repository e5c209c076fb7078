/** How an endpoint answers, of its locked queue. */
export interface QueueState {
  readonly endpoint_id: string
  readonly is_failing: boolean
  /** True if its last attempt took long. */
  readonly is_slow: boolean
  /** Time until which it gets nothing, in milliseconds from now. Not positive if it may have some. */
  readonly held_ms: number
  /** Time since it began to recover, in milliseconds. Null if it does not. */
  readonly recovering_ms: number | null
  /** Deliveries that the recovery has allowed. */
  readonly recovered: number
  readonly is_ramped: boolean
}

export interface AllowanceOptions {
  /** Sockets of this process that are free. */
  readonly deliveriesMax: number
  /** Deliveries of an endpoint that may be under way at a time, of all processes together. */
  readonly window: number
  /** Endpoints that take long now. */
  readonly slow?: readonly string[]
}

/** What a claim may take of an endpoint. */
export interface Allowance {
  readonly endpoint_id: string
  /** Deliveries under way at a time, with those of other claims. */
  readonly size: number
  /** Deliveries of this claim. */
  readonly most: number
  /** Deliveries that are tried before they are due by their schedule. With `is_ramped`, all live ones. */
  readonly early: number
  /** True if all deliveries are sent at the rate of the recovery, because the endpoint was away. */
  readonly is_ramped: boolean
  /** True if the recovery ends once the endpoint has nothing left to try early. */
  readonly is_over: boolean
  /** When to look at the endpoint again if it may have more by then, in milliseconds. */
  readonly again_ms: number | null
}

/** Deliveries of a slow endpoint under way at a time. */
const SLOW_WINDOW = 4
/** An attempt that takes longer than this makes its endpoint a slow one. In milliseconds. */
export const SLOW_MS = 2_000
/** After this many seconds the rate of a recovering endpoint is not limited any more. */
const RAMP_S_MAX = 12
/**
 * Share of the free sockets that one endpoint may have. Endpoints that hang then never have all sockets of a process,
 * because the share gets smaller with each socket that they hold.
 */
const FREE_SHARE = 1 / 4

/**
 * Decides what each endpoint of a claim may get. A failing one has one attempt at a time. The others share the sockets that
 * are left, so that one with a long backlog does not delay the rest.
 */
export function allowances(queues: readonly QueueState[], options: AllowanceOptions): Allowance[] {
  const failing = queues.filter(({ is_failing }) => is_failing).length
  const healthy = queues.length - failing
  // As if each of them had claimed alone, one after the other: the last one leaves as much as each has.
  const share = Math.max(1, Math.floor((options.deliveriesMax - failing) / (healthy + 1 / FREE_SHARE - 1)))
  return queues.map((queue) => allowance(queue, options, share))
}

function allowance(
  queue: QueueState,
  { deliveriesMax, window, slow = [] }: AllowanceOptions,
  share: number,
): Allowance {
  const { endpoint_id, is_failing, is_slow, held_ms, recovering_ms } = queue
  const sizeMax = is_slow || slow.includes(endpoint_id) ? Math.min(window, SLOW_WINDOW) : window
  const size = is_failing ? 1 : Math.min(sizeMax, Math.ceil(deliveriesMax * FREE_SHARE))
  const none = { endpoint_id, size, most: 0, early: 0, is_ramped: false, is_over: false, again_ms: null }
  if (held_ms > 0) return { ...none, again_ms: held_ms }
  const most = Math.min(size, share)
  if (recovering_ms === null) return { ...none, most }
  const seconds = Math.floor(recovering_ms / 1_000)
  if (seconds >= RAMP_S_MAX) return { ...none, most, early: most, is_over: true }
  // 1 in the first second, 2 in the next one, then 4.
  const early = Math.min(most, Math.max(0, 2 ** (seconds + 1) - 1 - queue.recovered))
  const again_ms = 1_000 - (recovering_ms % 1_000)
  return { ...none, most: queue.is_ramped ? early : most, early, is_ramped: queue.is_ramped, again_ms }
}
