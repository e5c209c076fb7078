import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type LogLine as StackLogLine, startServiceProcess } from '@cashflow/dev-stack'
import { REPOSITORY } from './repository.ts'

export interface LogLine extends StackLogLine {
  service: string
  level: string
}

export type ServiceProcess = ReturnType<typeof startService>

// In production a worker has no provider by default, and the simulated one only in a sandbox. An api needs keys by default.
const SETTINGS = {
  APP_ENV: 'production',
  PROVIDER: 'simulated',
  SANDBOX: 'yes',
  AUTH: 'none',
  ALLOW_UNAUTHENTICATED: 'yes',
  // Only of tests. The api needs it for webhooks, and the webhooks service does not start without it.
  SECRETS_KEY: 'the-tests-seal-their-secrets-under-this-key',
}

/** Starts a service as a process of its own, with these settings only, and with arguments for Node. */
export function startService(
  service: 'api' | 'relay' | 'worker' | 'webhooks',
  env: Record<string, string>,
  nodeArguments: readonly string[] = [],
) {
  const logs: LogLine[] = []
  const output: string[] = []
  const running = startServiceProcess({
    name: service,
    file: process.execPath,
    args: [...nodeArguments, join(REPOSITORY, `services/${service}/src/main.ts`)],
    cwd: tmpdir(), // A .env of the checkout would be read there.
    env: { PATH: process.env.PATH, ...SETTINGS, ...env },
    output: {
      onLine(line, parsed) {
        if (parsed) logs.push(parsed as LogLine)
        else output.push(line)
      },
    },
  })
  const exited = running.exited.then(({ code, signal }) => (code ?? signal) as number | NodeJS.Signals)
  return {
    get pid() {
      return running.pid
    },
    logs: logs as readonly LogLine[],
    /** Output other than log lines, such as a message about its settings. */
    output: output as readonly string[],
    /** Its exit code once it has ended, or the signal that ended it. */
    exited,
    kill: running.kill,
    stop() {
      running.kill('SIGTERM')
      return exited
    },
    /** The URL of its admin server, once it listens. */
    async adminUrl(): Promise<string> {
      return String((await running.logged('admin server listening')).url)
    },
    /** Resolves with the first line with this message, also if it was logged before the call. */
    logged: (message: string, options?: { timeoutMs?: number }) => running.logged(message, options) as Promise<LogLine>,
  }
}
