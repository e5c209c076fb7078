import { readFile } from 'node:fs/promises'
import { eventually, type ServiceProcess } from '@cashflow/testing'
import { expect } from 'chai'
import { PATIENTLY, type Stage } from './stage.ts'

/** What a stage goes through, whichever build is on it, until all that was on its way has arrived. Leaves one worker. */
export type Scenario = (stage: Stage) => Promise<void>

export const PAYMENTS = 10

export const goodWeather: Scenario = async (stage) => {
  await stage.post(PAYMENTS)
  await eventually(async () => expect(await stage.findings()).to.include({ pending: 0, ends: PAYMENTS }), PATIENTLY)
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
  // Not too often: the queue's delivery limit counts each look.
  await eventually(async () => expect(await waiting(stage)).to.have.members(ids), { ...PATIENTLY, intervalMs: 1_000 })
  await wipe(stage)
  stage.link.restore()
  await stage.startWorker()
  await stage.arrived()
}

export const wokenAfterItsLease: Scenario = async (stage) => {
  const { charges, isCharged } = holdCharges(stage)
  const [id = ''] = await stage.post(1)
  await isCharged(1)
  const frozen = lastWorker(stage)
  frozen.kill('SIGSTOP')
  await eventually(async () => expect(await readFile(`/proc/${frozen.pid}/stat`, 'utf8')).to.match(/ T /), PATIENTLY)
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
    PATIENTLY,
  )
  charges[1]?.say('approved')
  await eventually(() => expect(messagesAbout(other, id)).to.include('payment settled'), PATIENTLY)
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

/** As if REDRIVE_AFTER_MS had passed for all that is still PENDING. */
export async function timePasses({ pipeline }: Stage): Promise<void> {
  await pipeline.db.query("update payments set redrive_at = now() where status = 'PENDING'")
}

const lastWorker = ({ workers }: Stage) => workers.at(-1) as ServiceProcess

function holdCharges({ provider }: Stage) {
  const charges = provider.hold()
  const isCharged = (times: number) => eventually(() => expect(charges).to.have.length(times), PATIENTLY)
  return { charges, isCharged }
}

async function endLeases({ pipeline }: Stage): Promise<void> {
  await pipeline.db.query("update payments set lease_until = now() where status = 'PENDING' and lease_until > now()")
}

/** The broker's disk is lost, and nobody is told. */
async function wipe({ vhost }: Stage): Promise<void> {
  await vhost.drop()
  await vhost.create()
}

/** The payments whose messages wait in the work queue. */
async function waiting({ vhost }: Stage): Promise<string[]> {
  const how = { count: 1_000, ackmode: 'ack_requeue_true', encoding: 'auto' }
  const got = await vhost.management.request('POST', `/queues/${vhost.name}/payments/get`, how)
  const ids = (got as { payload: string }[]).map(({ payload }) => JSON.parse(payload).payment_id)
  return [...new Set<string>(ids)]
}

const messagesAbout = ({ logs }: ServiceProcess, id: string) =>
  logs.filter((line) => line.payment_id === id).map(({ message }) => message)
