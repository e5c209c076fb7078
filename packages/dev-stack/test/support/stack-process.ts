import { join } from 'node:path'
import { createLogPrinter } from '../../src/log-printer.ts'
import { runStack } from '../../src/run-stack.ts'
import { stackSettings } from '../../src/settings.ts'
import { StartError } from '../../src/start-error.ts'

/** Runs a stack of fake services, with its state in the given folder, as a process that tests can kill. */
const [stateDir = '', ports = '{}', fresh] = process.argv.slice(2)
const fake = (service: string) => ({
  file: process.execPath,
  args: [join(import.meta.dirname, 'fake-service.ts'), service],
})
const write = (text: string) => console.log(text)

try {
  await runStack({
    stateDir,
    settings: stackSettings(process.env),
    serverPorts: JSON.parse(ports),
    counts: { api: 2, relay: 1, worker: 2, webhooks: 1 },
    commands: {
      migrate: { file: process.execPath, args: ['-e', ''] },
      api: fake('api'),
      relay: fake('relay'),
      worker: fake('worker'),
      webhooks: fake('webhooks'),
    },
    env: process.env,
    cwd: stateDir,
    fresh: fresh === 'fresh',
    printer: createLogPrinter({ write, level: 'info', labelWidth: 8 }),
    say: write,
    show: write,
  })
} catch (error) {
  console.log(error instanceof StartError ? error.message : error)
  process.exitCode = 1
}
