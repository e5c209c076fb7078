import { hash } from 'node:crypto'
import type { RequestHandler } from 'express'

interface Prepared {
  bytes: Buffer
  etag: string
}

/**
 * GET of bytes that are the same for every client. They are read at the first request, and stay in memory. Clients keep them,
 * and ask with the ETag whether they have changed.
 *
 * @param read called again at the next request if it fails
 */
export function preparedFile(type: string, read: () => Promise<Buffer> | Buffer): RequestHandler {
  let preparing: Promise<Prepared> | undefined

  async function prepare(): Promise<Prepared> {
    const bytes = await read()
    return { bytes, etag: `"${hash('sha256', bytes, 'base64url')}"` }
  }

  return async (req, res) => {
    preparing ??= prepare().catch((error) => {
      preparing = undefined
      throw error
    })
    const { bytes, etag } = await preparing
    res.setHeader('Cache-Control', 'no-cache')
    res.setHeader('ETag', etag)
    if (req.fresh) return void res.writeHead(304).end()
    res.setHeader('Content-Type', type)
    res.setHeader('Content-Length', bytes.length)
    res.end(bytes)
  }
}
