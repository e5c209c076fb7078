import { mkdtempDisposable } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { eventually, fetchPrometheus } from '@cashflow/testing'
import { expect } from 'chai'
import { createClients } from '../src/clients.ts'
import { type System, startSystem } from '../src/system.ts'
import * as cases from './alerts/cases.ts'
import { startTrial } from './alerts/trial.ts'

const SEED = 1
/** Settled payments before the first fault, at 4 a second. */
const QUIET_PAYMENTS = 80

const PATIENT = { timeoutMs: 240_000, intervalMs: 500 }

const programs = await fetchPrometheus()

if (programs)
  describe('alerts of a chaos run', function () {
    this.timeout(1_200_000)
    const stack = new AsyncDisposableStack()
    let system: System
    let trial: Awaited<ReturnType<typeof startTrial>>

    before(async () => {
      const { path: dir } = stack.use(await mkdtempDisposable(join(tmpdir(), 'cashflow-test-')))
      const sizes = { api: 2, relay: 2, worker: 2, webhooks: 2 }
      system = await startSystem({ dir, seed: SEED, sizes, needs: new Set(), prometheus: true, say: () => {} })
      stack.defer(() => system.stop())
      trial = await startTrial(system)
      const { apiUrls, merchants } = system
      const clients = createClients({ apiUrls, merchants: merchants.all, count: 4, perSecond: 4, seed: SEED })
      stack.defer(() => clients.stop())
      clients.start()
    })
    after(() => stack.disposeAsync())

    it('alerts of a chaos run: none fires or is pending while payments settle and some are declined', async () => {
      await eventually(async () => {
        const [counts] = await system.query<{ settled: number; declined: number }>(`
          select count(*) filter (where status <> 'PENDING')::int as settled,
            count(*) filter (where failure_code = 'declined')::int as declined from payments`)
        expect(counts?.settled).to.be.above(QUIET_PAYMENTS)
        expect(counts?.declined).to.be.above(QUIET_PAYMENTS / 10)
        await trial.expectNonePending()
      }, PATIENT)
      await trial.expectNoOthers()
    })

    it('alerts of a chaos run: fire for dead workers, a full queue, an old snapshot, bad messages and a dead provider', async () => {
      await Promise.all([
        trial.cause(cases.PAYMENTS_LATE),
        trial.cause(cases.FULL_QUEUE),
        trial.cause(cases.SNAPSHOT),
        (async () => {
          await trial.cause(cases.WORKERS_KILLED)
          await Promise.all([cases.POISON, cases.REFUSED, cases.UNROUTABLE].map(trial.cause))
          await trial.cause(cases.PROVIDER_FAILS)
        })(),
      ])
      await trial.expectNoOthers()
    })

    it('alerts of a chaos run: fire for a forgotten pause, a dead api, a blocked broker and frozen relays', async () => {
      await Promise.all([
        trial.cause(cases.WORKERS_PAUSED),
        (async () => {
          await Promise.all([cases.API_KILLED, cases.BROKER_BLOCKED].map(trial.cause))
          // Last: a relay that goes on shows for some seconds what it knew before, such as a dead api.
          await trial.cause(cases.RELAYS_FROZEN)
        })(),
      ])
      await trial.expectNoOthers()
      console.log(trial.lines.map((line) => `      ${line}`).join('\n'))
    })
  })
