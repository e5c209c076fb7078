import { writeFileSync } from 'node:fs'
import { rulesFile } from './rules-file.ts'

/** `node packages/monitoring/src/generate.ts` writes the alert rules that Prometheus loads. */
writeFileSync(new URL('../../../deploy/prometheus/cashflow.rules.yml', import.meta.url), rulesFile())
