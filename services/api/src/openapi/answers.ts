import { METADATA_LIMITS, REFERENCE_LENGTH_MAX, TRANSITIONS } from '@cashflow/domain'
import * as z from 'zod'
import { ALL_CURRENCIES } from '../payments/payment-body.ts'
import { AMOUNT_RANGE } from '../payments/payment-body-document.ts'

// What the API answers. The contract test validates real answers with these, and takes no member that is not here.

/** A line of text for people, such as a detail. */
export const text = z
  .string()
  .regex(/^\P{Cc}+$/u)
  .max(4_096)

/** As stored, so also what POST would refuse today. */
const stored = z.string().regex(/^[\s\S]*$/)

export const paymentId = z.string().meta({
  description: 'The id of a payment, a UUID of version 7.',
  format: 'uuid',
  maxLength: 36,
  examples: ['01a200e6-61da-7305-a53d-01a16fbc86b7'],
})

const time = (description: string) =>
  z.string().meta({ description, format: 'date-time', maxLength: 35, examples: ['2026-11-22T01:37:08.058Z'] })

const status = z.enum(Object.keys(TRANSITIONS) as (keyof typeof TRANSITIONS)[]).meta({
  id: 'PaymentStatus',
  description: 'PENDING until the payment is settled. SUCCESS and FAILED are final.',
})

export const payment = z
  .object({
    id: paymentId,
    amount: z.number().meta({
      override: AMOUNT_RANGE,
      description:
        'A JSON number with all decimals of the currency, such as `100.50`. Every JSON parser holds it exactly.',
      examples: [100.5],
    }),
    currency: z.enum(ALL_CURRENCIES).meta({ description: 'ISO 4217 code.', examples: ['USD'] }),
    reference: stored
      .min(1)
      .max(REFERENCE_LENGTH_MAX)
      .meta({ examples: ['REF-001'] }),
    status,
    created_at: time('When the payment was created.'),
    metadata: z
      .record(stored.min(1).max(METADATA_LIMITS.nameLengthMax), stored.max(METADATA_LIMITS.valueLengthMax))
      .meta({ description: 'As sent. Left out if there are no pairs.', maxProperties: METADATA_LIMITS.pairsMax })
      .optional(),
  })
  .meta({ id: 'Payment', description: 'A payment.' })

export const health = z
  .object({ status: z.literal('ok') })
  .meta({ id: 'Health', description: 'The API can take payments.' })

const path = z
  .string()
  .regex(/^\/[\w./-]*$/)
  .max(64)

export const overview = z
  .object({ name: text, payments: path, health: path, documentation: path, openapi: path })
  .meta({ id: 'Overview', description: 'Where everything is.' })

export const page = z
  .string()
  .regex(/^<!doctype html>/)
  .max(65_536)
