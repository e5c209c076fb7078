import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { type RequestHandler, Router } from 'express'
import { methodNotAllowed } from '../errors.ts'
import { preparedFile } from '../prepared-file.ts'
import { DOCS_SECURITY_HEADERS } from '../security-headers.ts'

const PAGE = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Cashflow: the API</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/docs/swagger-ui.css">
<div id="docs"><noscript>This page needs JavaScript. The document itself is <a href="/openapi.json">/openapi.json</a>.</noscript></div>
<script src="/docs/swagger-ui-bundle.js" defer></script>
<script src="/docs/start.js" defer></script>
</html>
`

// Without validatorUrl, Swagger UI would send the document's address to a service of its makers.
const START = `SwaggerUIBundle({ url: '/openapi.json', dom_id: '#docs', deepLinking: true, validatorUrl: null })\n`

const HTML = 'text/html; charset=utf-8'
const SCRIPT = 'text/javascript; charset=utf-8'
const STYLE = 'text/css; charset=utf-8'

/** GET /openapi.json, the API's document, and /docs, a page that shows it. The page loads nothing from elsewhere. */
export function documentRoutes(): Router {
  const router = Router()
  const add = (path: string, ...handlers: RequestHandler[]) =>
    router
      .route(path)
      .get(...handlers)
      .all(methodNotAllowed('GET', 'HEAD'))
  add('/openapi.json', preparedFile('application/json; charset=utf-8', readDocument))
  add(
    '/docs',
    withDocsPolicy,
    preparedFile(HTML, () => Buffer.from(PAGE)),
  )
  add(
    '/docs/start.js',
    preparedFile(SCRIPT, () => Buffer.from(START)),
  )
  add(
    '/docs/swagger-ui.css',
    preparedFile(STYLE, () => readSwaggerUi('swagger-ui.css')),
  )
  add(
    '/docs/swagger-ui-bundle.js',
    preparedFile(SCRIPT, () => readSwaggerUi('swagger-ui-bundle.js')),
  )
  return router
}

const withDocsPolicy: RequestHandler = (_req, res, next) => {
  res.locals.securityHeaders = DOCS_SECURITY_HEADERS
  next()
}

/** Imported when it is asked for, so that the api starts without it. */
async function readDocument(): Promise<Buffer> {
  const { default: document } = await import('./openapi.json', { with: { type: 'json' } })
  return Buffer.from(JSON.stringify(document))
}

function readSwaggerUi(name: string): Promise<Buffer> {
  return readFile(fileURLToPath(import.meta.resolve(`swagger-ui-dist/${name}`)))
}
