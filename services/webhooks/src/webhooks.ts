import { createWakeSignal } from '@cashflow/async'
import type { Tables } from '@cashflow/db'
import { type FannedOut, readEvent } from '@cashflow/db/webhooks'
import type { Component, Logger } from '@cashflow/runtime'
import type { SecretBox, Sender } from '@cashflow/webhook-sender'
import type { Kysely } from 'kysely'
import { bodyOf } from './body.ts'
import { createChecks } from './checks.ts'
import { createDeliveries, type DeliveriesOptions } from './deliveries.ts'
import { createFanOut, type FanOutLoopOptions } from './fan-out.ts'
import { createPruning, createReplays } from './housekeeping.ts'
import { createSettler, type SettlerOptions } from './settler.ts'

export interface WebhooksOptions
  extends Pick<DeliveriesOptions, 'attemptsMax' | 'windowMax' | 'onAttempt' | 'spans'>,
    Pick<SettlerOptions, 'onDisabled'>,
    Pick<FanOutLoopOptions, 'isSandbox'> {
  db: Kysely<Tables>
  sender: Sender
  secrets: SecretBox
  /** Time for which finished deliveries are kept, in milliseconds. */
  keptMs: number
  onFannedOut?: (result: FannedOut) => void
  logger: Logger
}

export interface Webhooks {
  readonly components: readonly Component[]
  /** Attempts under way. */
  readonly inFlight: number
  /** Looks for new events now. */
  wake(): void
}

/** Everything between the events of payments and the endpoints of their merchants. */
export function createWebhooks(options: WebhooksOptions): Webhooks {
  const { db, sender, secrets, onDisabled, onFannedOut, keptMs, isSandbox, logger } = options
  const newEvents = createWakeSignal()
  const [due, replay, check] = [createWakeSignal(), createWakeSignal(), createWakeSignal()]
  const settler = createSettler({ db, logger, ...(onDisabled && { onDisabled }) })
  const deliveries = createDeliveries({
    ...options,
    settler,
    wake: due,
    async rebuildBody(delivery) {
      const event = await readEvent(db, delivery)
      return event && bodyOf(event)
    },
  })
  return {
    components: [
      { name: 'sender', start: async () => {}, stop: () => sender.close() },
      deliveries,
      createReplays({ db, wake: replay, onDue: due.wake, logger }),
      createChecks({ db, sender, secrets, wake: check, logger }),
      createPruning({ db, keptMs, logger }),
      createFanOut({
        ...{ db, wake: newEvents, onDue: due.wake, onReplay: replay.wake, onCheck: check.wake, isSandbox, logger },
        ...(onFannedOut && { onFannedOut }),
      }),
    ],
    get inFlight() {
      return deliveries.inFlight
    },
    wake: newEvents.wake,
  }
}
