import { writeFileSync } from 'node:fs'
import { webhookVectors } from './vectors.ts'

/** `node packages/webhook-sender/src/vectors/generate.ts` writes docs/webhook-vectors.json. */
const file = new URL('../../../../docs/webhook-vectors.json', import.meta.url)
writeFileSync(file, `${JSON.stringify(webhookVectors(), null, 2)}\n`)
