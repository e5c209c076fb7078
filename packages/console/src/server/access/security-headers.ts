import type { RequestHandler } from 'express'
import helmet from 'helmet'

const NOTHING = ["'none'"]
const OWN = ["'self'"]

/** The headers of every answer. The page loads and asks nothing but what the console serves, and nothing may frame it. */
export const securityHeaders: RequestHandler = helmet({
  contentSecurityPolicy: {
    useDefaults: false,
    directives: {
      defaultSrc: NOTHING,
      scriptSrc: OWN,
      styleSrc: OWN,
      connectSrc: OWN,
      imgSrc: [...OWN, 'data:'],
      formAction: NOTHING,
      frameAncestors: NOTHING,
      baseUri: NOTHING,
    },
  },
  xFrameOptions: { action: 'deny' },
  // It would hold for all ports of the host, which may serve something else over plain HTTP, above all on localhost.
  strictTransportSecurity: false,
})
