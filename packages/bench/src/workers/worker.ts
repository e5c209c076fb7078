import type { Place } from '../place.ts'
import type { QueueState } from '../queue/queue.ts'
import type { Servers } from '../servers.ts'

/** Whatever empties the work queue. */
export interface Worker {
  /** A place with as many PENDING payments, whose messages wait in its queue. */
  prepare(servers: Servers, count: number, signal: AbortSignal): Promise<Place>
  start(servers: Servers, place: Place, count: number, instances: number): Promise<{ stop(): Promise<void> }>
  /** Whether all that was taken out of the queue is dealt with. */
  isDone(place: Place, state: QueueState): Promise<boolean>
}
