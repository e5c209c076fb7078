import type { Response } from 'express'

/** Sends a JSON answer. */
export function sendJson(res: Response, status: number, body: object, type?: string): void {
  sendJsonText(res, status, JSON.stringify(body), type)
}

/**
 * Sends JSON text. `res.json` costs a tenth of a request's time more: it parses the content type that was just set, and
 * looks for ETags and conditions.
 */
export function sendJsonText(res: Response, status: number, text: string, type = 'application/json'): void {
  res.statusCode = status
  res.setHeader('Content-Type', `${type}; charset=utf-8`)
  res.setHeader('Content-Length', Buffer.byteLength(text))
  res.end(text)
}
