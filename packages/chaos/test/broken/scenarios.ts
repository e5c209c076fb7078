import { readFile } from 'node:fs/promises'
import { defined } from '@cashflow/async'
import { eventually, type ServiceProcess } from '@cashflow/testing'
import { expect } from 'chai'
import { PATIENT, type Stage } from './stage.ts'

/**
 * The steps of a test, the same for each build, until every message has been handled. One worker is left at the end.
 */
export type Scenario = (stage: Stage) => Promise<void>

export const PAYMENTS = 10

export const withoutFaults: Scenario = async (stage) => {
  await stage.post(PAYMENTS)
  await eventually(async () => expect(await stage.findings()).to.include({ pending: 0, ends: PAYMENTS }), PATIENT)
}

export const killedAtTheProvider: Scenario = async (stage) => {
  const { charges, isCharged } = holdCharges(stage)
  await stage.post(1)
  await isCharged(1)
  const worker = lastWorker(stage)
  worker.kill('SIGKILL')
  await worker.exited
  await endLeases(stage)
  charges[0]?.response.destroy()
  stage.provider.approve()
  await stage.startWorker()
  await stage.arrived()
}

export const brokerDiesUnconfirmed: Scenario = async (stage) => {
  expect(await lastWorker(stage).stop()).to.equal(0)
  stage.link.mute()
  const ids = await stage.post(1)
  // Not often, because each look counts against the queue's delivery limit.
  await eventually(async () => expect(await waiting(stage)).to.have.members(ids), { ...PATIENT, intervalMs: 1_000 })
  await wipe(stage)
  stage.link.restore()
  await stage.startWorker()
  await stage.arrived()
}

export const wokenAfterItsLease: Scenario = async (stage) => {
  const { charges, isCharged } = holdCharges(stage)
  const id = defined((await stage.post(1))[0], 'payment')
  await isCharged(1)
  const frozen = lastWorker(stage)
  frozen.kill('SIGSTOP')
  await eventually(async () => expect(await readFile(`/proc/${frozen.pid}/stat`, 'utf8')).to.match(/ T /), PATIENT)
  charges[0]?.say('declined')
  const other = await stage.startWorker()
  await endLeases(stage)
  await stage.pipeline.publish(id)
  await isCharged(2)
  frozen.kill('SIGCONT')
  await eventually(
    () =>
      expect(messagesAbout(frozen, id)).to.include.oneOf([
        'payment settled',
        'the claim was lost, its result is not stored',
      ]),
    PATIENT,
  )
  charges[1]?.say('approved')
  await eventually(() => expect(messagesAbout(other, id)).to.include('payment settled'), PATIENT)
  stage.provider.approve()
  expect(await frozen.stop()).to.equal(0)
  await stage.arrived()
}

export const brokerWiped: Scenario = async (stage) => {
  expect(await lastWorker(stage).stop()).to.equal(0)
  await stage.post(PAYMENTS)
  await stage.published()
  await wipe(stage)
  await stage.startWorker()
  await stage.arrived()
  await timePasses(stage)
}

export const bindingDeleted: Scenario = async (stage) => {
  const { vhost } = stage
  await vhost.management.request('DELETE', `/bindings/${vhost.name}/e/payments/q/payments/payment.created`)
  await stage.post(PAYMENTS)
  await stage.arrived()
}

/** Acts as if REDRIVE_AFTER_MS had passed for every PENDING payment. */
export async function timePasses({ pipeline }: Stage): Promise<void> {
  await pipeline.db.query("update payments set redrive_at = now() where status = 'PENDING'")
}

const lastWorker = ({ workers }: Stage) => defined(workers.at(-1), 'worker')

function holdCharges({ provider }: Stage) {
  const charges = provider.hold()
  const isCharged = (times: number) => eventually(() => expect(charges).to.have.length(times), PATIENT)
  return { charges, isCharged }
}

async function endLeases({ pipeline }: Stage): Promise<void> {
  await pipeline.db.query("update payments set lease_until = now() where status = 'PENDING' and lease_until > now()")
}

/** The broker loses its disk, and the services do not learn of it. */
async function wipe({ vhost }: Stage): Promise<void> {
  await vhost.drop()
  await vhost.create()
}

/** Returns the payments whose messages are in the work queue. */
async function waiting({ vhost }: Stage): Promise<string[]> {
  const how = { count: 1_000, ackmode: 'ack_requeue_true', encoding: 'auto' }
  const got = await vhost.management.request('POST', `/queues/${vhost.name}/payments/get`, how)
  const ids = (got as { payload: string }[]).map(({ payload }) => JSON.parse(payload).payment_id)
  return [...new Set<string>(ids)]
}

const messagesAbout = ({ logs }: ServiceProcess, id: string) =>
  logs.filter((line) => line.payment_id === id).map(({ message }) => message)
