import type { Fault, SystemPart } from '../fault.ts'

/** So that few answers are lost: a request that is repeated may rotate a secret twice. */
const MANAGED_OVER: readonly SystemPart[] = ['endpoints', 'api', 'postgres', 'database links']
/** Time for the requests that end the fault. */
const ENDED_MS = 2_000

/** Merchants change their webhook endpoints while events are delivered. */
export const ENDPOINT_FAULTS: readonly Fault[] = [
  {
    // What it missed is replayed, so that it still gets every event.
    name: 'endpoint-disabled',
    disturbs: MANAGED_OVER,
    lastsMs: [2_000, 8_000],
    recoveryMs: ENDED_MS,
    async run({ endpoints }, { random, untilEnd }) {
      const endpoint = random.pick(endpoints.own)
      await endpoints.setEnabled(endpoint, false)
      await untilEnd()
      await endpoints.setEnabled(endpoint, true)
      await endpoints.replayMissed(endpoint)
      return undefined
    },
  },
  {
    name: 'endpoint-deleted',
    disturbs: MANAGED_OVER,
    lastsMs: [2_000, 8_000],
    recoveryMs: ENDED_MS,
    async run({ endpoints, merchants }, { random, untilEnd }) {
      const endpoint = await endpoints.add(random.pick(merchants.all), { types: null, ordering: 'payment' })
      await untilEnd()
      await endpoints.remove(endpoint)
      return endpoint.requests.length === 0 ? 'no effect' : undefined
    },
  },
  {
    name: 'secret-rotated',
    disturbs: MANAGED_OVER,
    lastsMs: [0, 0],
    recoveryMs: ENDED_MS,
    async run({ endpoints }, { random }) {
      await endpoints.rotateSecret(random.pick(endpoints.own))
    },
  },
]
