import type { RequestHandler } from 'express'
import { sendJson } from './send-json.ts'

export const OVERVIEW = {
  name: 'Cashflow, a payment gateway',
  payments: '/api/v1/payments',
  events: '/api/v1/events',
  health: '/health',
  documentation: '/docs',
  openapi: '/openapi.json',
}

const PAGE = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Cashflow</title>
<h1>Cashflow</h1>
<p>A payment gateway. Programs talk to it.</p>
<ul>
<li>Payments: <code>POST ${OVERVIEW.payments}</code>, <code>GET ${OVERVIEW.payments}</code> and <code>GET ${OVERVIEW.payments}/:id</code></li>
<li>Events: <code>GET ${OVERVIEW.events}</code></li>
<li>Health: <a href="${OVERVIEW.health}">${OVERVIEW.health}</a></li>
<li>Documentation: <a href="${OVERVIEW.documentation}">${OVERVIEW.documentation}</a>, and for programs <a href="${OVERVIEW.openapi}">${OVERVIEW.openapi}</a></li>
</ul>
</html>
`

// The negotiation parses the whole header: 16 kB of commas take 8 ms.
const ACCEPT_MAX = 255

/** GET /: where everything is, as a page for browsers, else as JSON. */
export const root: RequestHandler = (req, res) => {
  res.appendHeader('Vary', 'Accept')
  const isShort = (req.headers.accept ?? '').length <= ACCEPT_MAX
  if (isShort && req.accepts(['json', 'html']) === 'html')
    res.setHeader('Content-Type', 'text/html; charset=utf-8').end(PAGE)
  else sendJson(res, 200, OVERVIEW)
}
