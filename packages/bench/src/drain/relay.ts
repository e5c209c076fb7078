import type { NewMessage } from '@cashflow/outbox'
import type { Place } from '../place.ts'
import type { Servers } from '../servers.ts'

export type Chunks = Iterable<readonly NewMessage[]>

/** Whatever brings messages to the work queue. */
export interface Relay {
  /** Starts as many instances of it, with nothing to do yet, at a place of their own. */
  start(servers: Servers, instances: number): Promise<StartedRelay>
}

export interface StartedRelay {
  readonly place: Place
  /** Gives it messages to publish, all at the same moment: they are committed together. */
  give(messages: Chunks): Promise<void>
  /** And drops the place. */
  stop(): Promise<void>
}
