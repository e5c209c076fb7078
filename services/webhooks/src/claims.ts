import { randomUUID } from 'node:crypto'
import type { Tables } from '@cashflow/db'
import { type Claim, type ClaimedDelivery, type ClaimOptions, claimDeliveries, ItemsError } from '@cashflow/db/webhooks'
import type { Logger } from '@cashflow/runtime'
import type { Kysely } from 'kysely'
import { createAside, isOwn } from './aside.ts'

type Wanted = Omit<ClaimOptions, 'token' | 'aside' | 'among'>

/**
 * Claims deliveries for a process. Endpoints that cannot be claimed together are claimed one by one, and one that fails alone
 * is set aside for a while, so that it stops no other.
 */
export function createClaims(logger: Logger) {
  const aside = createAside((endpointId, error) =>
    logger.error('webhooks of an endpoint cannot be claimed, all others go on', { endpoint_id: endpointId, error }),
  )

  async function claimEach(db: Kysely<Tables>, wanted: Wanted, endpointIds: readonly string[]): Promise<Claim> {
    const deliveries: ClaimedDelivery[] = []
    for (const endpointId of endpointIds) {
      const deliveriesMax = wanted.deliveriesMax - deliveries.length
      const failingMax = wanted.failingMax - deliveries.filter(({ isFailing }) => isFailing).length
      if (deliveriesMax <= 0) break
      const options = { ...wanted, deliveriesMax, failingMax, token: randomUUID(), among: [endpointId] }
      try {
        deliveries.push(...(await claimDeliveries(db, options)).deliveries)
      } catch (error) {
        const cause = causeOf(error)
        if (!isOwn(cause)) return { deliveries, isMore: true }
        aside.add(endpointId, cause)
      }
    }
    return { deliveries, isMore: true }
  }

  return async (db: Kysely<Tables>, wanted: Wanted): Promise<Claim> => {
    try {
      return await claimDeliveries(db, { ...wanted, token: randomUUID(), aside: aside.ids() })
    } catch (error) {
      if (!(error instanceof ItemsError) || !isOwn(error.cause)) throw causeOf(error)
      return await claimEach(db, wanted, error.ids)
    }
  }
}

const causeOf = (error: unknown) => (error instanceof ItemsError ? error.cause : error)
