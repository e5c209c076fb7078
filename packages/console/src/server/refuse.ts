import type { Response } from 'express'

/** Answers that a request was not done, and why. The operator reads it. */
export function refuse(res: Response, status: number, error: string): void {
  res.status(status).json({ error })
}
