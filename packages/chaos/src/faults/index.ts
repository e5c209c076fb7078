import type { Fault } from '../fault.ts'
import { BROKER_FAULTS, DUPLICATES } from './broker.ts'
import { ENDPOINT_FAULTS } from './endpoints.ts'
import { KEY_REVOKED } from './keys.ts'
import { LINK_FAULTS } from './links.ts'
import { PAUSES } from './pauses.ts'
import { POSTGRES_FAULTS } from './postgres.ts'
import { PROVIDER_FAULTS } from './provider.ts'
import { QUEUE_FAULTS } from './queue.ts'
import { RECEIVER_FAULTS } from './receivers.ts'
import { CLOCK_SKEW, SERVICE_FAULTS } from './services.ts'

/** The order decides what a seed chooses. */
export const FAULTS: readonly Fault[] = [
  ...SERVICE_FAULTS,
  ...BROKER_FAULTS,
  ...QUEUE_FAULTS,
  ...POSTGRES_FAULTS,
  ...LINK_FAULTS,
  DUPLICATES,
  ...PROVIDER_FAULTS,
  CLOCK_SKEW,
  KEY_REVOKED,
  ...PAUSES,
  ...RECEIVER_FAULTS,
  ...ENDPOINT_FAULTS,
]
