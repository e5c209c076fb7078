import { createHash } from 'node:crypto'
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import { type Request, type Response, Router } from 'express'
import { PAGE_FILES, type PageFile, type PageFiles, readPageFiles } from './page-files.ts'

interface Asset {
  readonly plain: Buffer
  readonly gzipped: Buffer
  readonly etag: string
}

const TYPES: Readonly<Record<PageFile, string>> = {
  'index.html': 'text/html; charset=utf-8',
  'icon.svg': 'image/svg+xml',
  'app.js': 'text/javascript; charset=utf-8',
  'app.css': 'text/css; charset=utf-8',
}

/** Any path without a dot outside of `/api`: the page itself reads it, such as `/payments`. */
const VIEW_PATH = /^\/(?!api(?:\/|$))[^.]*$/

/** Serves the page. Its files are read or bundled at the first request, and kept. */
export function assetRoutes(readFiles: () => Promise<PageFiles> = readPageFiles): Router {
  let assets: Promise<ReadonlyMap<PageFile, Asset>> | undefined
  const serve = (name: PageFile) => async (req: Request, res: Response) => {
    assets ??= readAssets(readFiles)
    try {
      sendAsset(req, res, TYPES[name], (await assets).get(name))
    } catch (error) {
      assets = undefined
      const reason = error instanceof Error ? error.message : String(error)
      res.status(500).type('text/plain').send(`The console's page could not be bundled: ${reason}\n`)
    }
  }
  const router = Router()
  for (const name of PAGE_FILES) if (name !== 'index.html') router.get(`/${name}`, serve(name))
  router.get(VIEW_PATH, serve('index.html'))
  return router
}

async function readAssets(readFiles: () => Promise<PageFiles>): Promise<ReadonlyMap<PageFile, Asset>> {
  const entries = [...(await readFiles())].map(async ([name, bytes]) => [name, await assetOf(bytes)] as const)
  return new Map(await Promise.all(entries))
}

async function assetOf(bytes: Uint8Array): Promise<Asset> {
  const plain = Buffer.from(bytes)
  // Weak, because the plain and the gzipped answer share it.
  const etag = `W/"${createHash('sha256').update(plain).digest('base64url').slice(0, 22)}"`
  return { plain, gzipped: await promisify(gzip)(plain, { level: 9 }), etag }
}

function sendAsset(req: Request, res: Response, type: string, asset: Asset | undefined): void {
  if (!asset) throw new Error('a file of the page is missing')
  res.set({ 'Content-Type': type, ETag: asset.etag, 'Cache-Control': 'no-cache', Vary: 'Accept-Encoding' })
  if (!req.acceptsEncodings('gzip')) return void res.send(asset.plain)
  res.set('Content-Encoding', 'gzip').send(asset.gzipped)
}
