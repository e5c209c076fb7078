import type { Response } from 'express'

/** Thrown to answer a request with a status and a text for the operator. */
export class Refusal extends Error {
  /** The status of the answer, such as 409. */
  readonly status: number

  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

/** Answers that a request was not done, and why. The operator reads it. */
export function refuse(res: Response, status: number, error: string): void {
  res.status(status).json({ error })
}
