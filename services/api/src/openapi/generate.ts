import { writeFileSync } from 'node:fs'
import { createApiDocument } from './document.ts'

/** `node services/api/src/openapi/generate.ts` writes openapi.json, the document that the API serves. */
writeFileSync(new URL('openapi.json', import.meta.url), `${JSON.stringify(createApiDocument(), null, 2)}\n`)
