import { cashflowStack } from '../../src/cashflow.ts'
import { runStack } from '../../src/run-stack.ts'
import { stackSettings } from '../../src/settings.ts'

/** Runs what `npm start` runs, with another state folder and other usual ports. */
const [stateDir = '', ports = '{}'] = process.argv.slice(2)
const counts = { apis: 1, relays: 2, workers: 1, webhooks: 1 }
const options = cashflowStack({ ...counts, fresh: false, help: false }, stackSettings(process.env), process.env)
await runStack({ ...options, stateDir, serverPorts: JSON.parse(ports) })
