/** Topics whose messages send a payment to a worker. The work queue is bound to them. */
export const WORK_TOPICS = ['payment.created', 'payment.retry'] as const

/** Topics of settled payments. No queue of Cashflow is bound to them: consumers bind their own. */
export const OUTCOME_TOPICS = ['payment.succeeded', 'payment.failed'] as const

export type Topic = (typeof WORK_TOPICS)[number] | (typeof OUTCOME_TOPICS)[number]
