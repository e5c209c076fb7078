import * as z from 'zod'

/** A line of the file of answers: what became of one POST of the runner, with its retries. */
export const answerRecord = z.object({
  at: z.iso.datetime(),
  reference: z.string(),
  idempotency_key: z.string(),
  simulate: z.string().nullable(),
  /** Null if no attempt was answered. */
  status: z.int().nullable(),
  /** The payment's id. Null unless the status is 201. */
  id: z.string().nullable(),
  /** Why there is no 201. */
  error: z.string().nullable(),
})

export type AnswerRecord = z.output<typeof answerRecord>

/** A line of the file of charges. */
export const chargeRecord = z.object({ key: z.string(), payment_id: z.string(), outcome: z.string() })

export type ChargeRecord = z.output<typeof chargeRecord>

/** The records of some lines. What is no record of this kind is left out, and counted. */
export function readRecords<Schema extends z.ZodType>(
  schema: Schema,
  lines: readonly string[],
): { records: z.output<Schema>[]; unreadable: number } {
  const records = lines.flatMap((line) => {
    const { data } = schema.safeParse(parsed(line))
    return data === undefined ? [] : [data]
  })
  return { records, unreadable: lines.length - records.length }
}

function parsed(line: string): unknown {
  try {
    return JSON.parse(line)
  } catch {
    return undefined
  }
}
