import { hash } from 'node:crypto'
import { openSync, writeSync } from 'node:fs'
import type { Payment } from '@cashflow/domain'
import type { ProviderAnswer } from './provider.ts'

/** A line of the file. An idempotency key has one payment and one outcome, as at every provider that honours keys. */
interface Charge {
  readonly key: string
  readonly payment_id: string
  readonly outcome: 'approved' | 'declined'
  readonly at: string
}

/** Notes an answer that decides about a payment, before it is given. @throws Error if the file cannot be written */
export type NoteCharge = (payment: Pick<Payment, 'id'>, answer: ProviderAnswer) => void

/**
 * Opens the file of the simulated provider's charges. Workers share it: each charge is one write of one line at its end,
 * also after another process has emptied the file.
 */
export function openChargesFile(file: string): NoteCharge {
  const descriptor = openSync(file, 'a', 0o600)
  return ({ id }, { outcome }) => {
    if (outcome !== 'approved' && outcome !== 'declined') return
    const charge: Charge = { key: id, payment_id: id, outcome, at: new Date().toISOString() }
    const line = Buffer.from(`${JSON.stringify(charge)}\n`)
    if (writeSync(descriptor, line) < line.length) throw new Error(`the charge of ${id} is not whole in ${file}`)
  }
}

/** A number from 0 to 1 that belongs to the payment: a repeated charge gets the outcome of the first one. */
export function chanceOf({ id }: Pick<Payment, 'id'>): number {
  return hash('sha256', id, 'buffer').readUIntBE(0, 6) / 2 ** 48
}
